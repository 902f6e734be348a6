//! Parameters that the user may not set, and why.

use super::Limits;

/// Why the user may not set this parameter; none where they may.
pub fn forbidden_parameter(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let reason = match name.as_str() {
        "fsync" | "full_page_writes" | "wal_sync_method" | "data_sync_retry" | "restart_after_crash" => {
            "with another value a crash could lose or damage what was acknowledged"
        }
        "zero_damaged_pages"
        | "ignore_checksum_failure"
        | "ignore_invalid_pages"
        | "ignore_system_indexes"
        | "allow_system_table_mods" => "it hides or causes damage, and is for a repair by hand",
        "synchronous_commit" | "synchronous_standby_names" => "set durability instead",
        "wal_level"
        | "hot_standby"
        | "max_replication_slots"
        | "max_wal_senders"
        | "max_slot_wal_keep_size"
        | "idle_replication_slot_timeout"
        | "wal_log_hints"
        | "synchronized_standby_slots"
        | "sync_replication_slots"
        | "wal_receiver_create_temp_slot" => "the operator sets it for the read replicas",
        "primary_conninfo"
        | "primary_slot_name"
        | "promote_trigger_file"
        | "restore_command"
        | "archive_cleanup_command" => "the operator sets it for the read replicas",
        "archive_mode" | "archive_command" | "archive_library" | "archive_timeout" | "summarize_wal" => {
            "the operator sets it for backups"
        }
        "listen_addresses" | "port" | "bonjour" | "bonjour_name" | "cluster_name" => {
            "the pods' address is the operator's"
        }
        "config_file" | "data_directory" | "hba_file" | "ident_file" | "external_pid_file" | "include"
        | "include_dir" | "include_if_exists" => "where the files are is the operator's",
        "password_encryption" | "db_user_namespace" => "passwords are kept as SCRAM-SHA-256 verifiers only",
        "logging_collector" | "log_destination" | "log_directory" | "log_filename" | "log_file_mode"
        | "syslog_facility" | "syslog_ident" | "event_source" => {
            "logs go to the container's output, where kubectl logs finds them"
        }
        "shared_preload_libraries" => "name the libraries with the extensions",
        "allow_alter_system" => "the operator keeps durability and limits with ALTER SYSTEM",
        "default_transaction_read_only" | "transaction_read_only" => "the primary would refuse all writes",
        _ if name.starts_with("recovery_") || name == "recovery_target" => "the operator sets it for the read replicas",
        _ if name.starts_with("unix_socket_") => "the operator's scripts use the pod's own socket",
        _ if name.starts_with("ssl") => "the operator sets encryption",
        _ if name.starts_with("lp.") => "the operator marks the configuration with it",
        _ => return None,
    };
    Some(reason)
}

/// What is wrong with a parameter that may be set; none where nothing can be told without a server.
pub fn invalid_parameter(name: &str, value: &str) -> Option<String> {
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$'))
    };
    if name.split('.').count() > 2 || !name.split('.').all(part) {
        return Some(format!("{name} is no parameter's name"));
    }
    if value.chars().any(char::is_control) {
        return Some(format!("the value of {name} must be one line"));
    }
    let is_limit = Limits::NAMES.contains(&name.to_ascii_lowercase().as_str());
    if is_limit && value.trim().parse::<u32>().is_err() {
        return Some(format!("{name} must be a whole number"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_the_promises_is_refused() {
        for name in [
            "fsync",
            "FSync",
            "synchronous_commit",
            "max_slot_wal_keep_size",
            "recovery_target_time",
            "ssl_ca_file",
            "port",
            "unix_socket_directories",
            "lp.config",
            "archive_command",
            "shared_preload_libraries",
            "max_wal_senders",
        ] {
            assert!(forbidden_parameter(name).is_some(), "{name}");
        }
        for name in
            ["work_mem", "max_connections", "log_statement", "pg_stat_statements.track", "hot_standby_feedback", "jit"]
        {
            assert_eq!(forbidden_parameter(name), None, "{name}");
        }
    }

    #[test]
    fn what_could_not_be_a_setting_is_refused() {
        for (name, value) in [
            ("", "1"),
            ("a b", "1"),
            ("1a", "1"),
            ("a.b.c", "1"),
            ("work_mem", "1\nfsync = off"),
            ("max_connections", "many"),
            ("max_connections", "-1"),
            ("Max_Connections", "1e3"),
        ] {
            assert!(invalid_parameter(name, value).is_some(), "{name} = {value}");
        }
        for (name, value) in [("work_mem", "4MB"), ("cron.database_name", "app"), ("max_connections", " 200 ")] {
            assert_eq!(invalid_parameter(name, value), None, "{name} = {value}");
        }
    }
}
