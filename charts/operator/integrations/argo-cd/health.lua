-- Health of a LearningPlatform for Argo CD. Goes into the ConfigMap argocd-cm under the key
-- resource.customizations.health.learningplatform.dev_LearningPlatform.

-- Reasons that only a person can mend. Everything else that is not ready may still heal by itself (a Secret that comes with
-- the same sync, a pod that starts), and Degraded would end the sync.
local needs_a_person = {
  Ambiguous = true,
  AutoscalerConflict = true,
  CollationMismatch = true,
  ConfigurationRefused = true,
  CredentialsRefused = true,
  DataMissing = true,
  DataWouldBeLeftBehind = true,
  DiskFilling = true,
  ExtensionMissing = true,
  ImmutableField = true,
  InvalidSpec = true,
  JobFailed = true,
  NameConflict = true,
  NeedsConsent = true,
  NotPrimary = true,
  PermissionDenied = true,
  PromotionWaits = true,
  Rejected = true,
  ReplicaAhead = true,
  Retained = true,
  RolloutStuck = true,
  SlotsLost = true,
  StartRefused = true,
  Stranger = true,
  Unsupported = true,
  WrongCluster = true,
}

local function health(status, message)
  return { status = status, message = message }
end

local function is(condition, status)
  return condition ~= nil and condition.status == status
end

local metadata = obj.metadata or {}
if metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Being deleted")
end

-- Before the generation: a suspended platform's spec may stay unseen for long.
if (metadata.annotations or {})["learningplatform.dev/suspend"] == "true" then
  return health("Suspended", "Suspended by the annotation learningplatform.dev/suspend")
end

local status = obj.status or {}
if status.observedGeneration ~= metadata.generation then
  return health("Progressing", "The operator has not seen this version of the spec yet")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local ready = conditions.Ready
if is(conditions.Stalled, "True") then
  return health("Degraded", conditions.Stalled.message)
end
if ready == nil then
  return health("Progressing", "The operator has not reported yet")
end
if ready.status == "True" then
  if is(conditions.RolloutPending, "True") then
    return health("Healthy", conditions.RolloutPending.message)
  end
  if is(conditions.MetricsAvailable, "False") then
    return health("Healthy", "Scaling has no figures: " .. conditions.MetricsAvailable.message)
  end
  return health("Healthy", ready.message)
end

-- Ready says that something is wrong, the condition of the tier says what.
for _, tier in ipairs({ "Ready", "AppReady", "AutoscalingReady", "CacheReady", "DatabaseReady", "CdnReady" }) do
  local condition = conditions[tier]
  if is(condition, "False") and needs_a_person[condition.reason] then
    return health("Degraded", condition.message)
  end
end
return health("Progressing", ready.message)
