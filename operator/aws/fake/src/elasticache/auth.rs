//! Tokens, users and user groups.

use super::{Answer, KeptUser, KeptUserGroup, Next, Strategy, World, group::is_legal, refuse};
use crate::clock::after;
use aws::{
    Password, Tags,
    elasticache::{Call, User, UserGroup},
};
use jiff::Timestamp;
use std::collections::BTreeSet;

pub(super) fn check_token(token: &str) -> Answer<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "!&#$^<>-".contains(c);
    if (16..=128).contains(&token.len()) && token.chars().all(legal) {
        return Ok(());
    }
    refuse("InvalidParameterValue", "Invalid AuthToken provided")
}

fn check_passwords(passwords: &[Password]) -> Answer<()> {
    if passwords.len() > 2 || passwords.iter().any(|one| !(16..=128).contains(&one.reveal().len())) {
        return refuse("InvalidParameterValue", "one or two passwords of 16 to 128 characters");
    }
    Ok(())
}

fn texts(passwords: &[Password]) -> Vec<String> {
    passwords.iter().map(|password| password.reveal().to_owned()).collect()
}

impl World {
    pub(super) fn set_token(&mut self, id: &str, token: &str, strategy: Strategy, now: Timestamp) -> Answer<()> {
        let until = after(now, self.durations.modifying);
        check_token(token)?;
        let kept = self.open(id)?;
        if !kept.seen.token {
            return refuse("InvalidParameterCombination", format!("{id} has no token"));
        }
        if strategy == Strategy::Set && !(kept.rotated && kept.tokens.iter().any(|known| known == token)) {
            return refuse("InvalidParameterCombination", "SET is legal after ROTATE of the same token only");
        }
        kept.pending_token = Some((strategy, token.to_owned()));
        kept.seen.pending_token = Some(strategy);
        kept.seen.status = "modifying".into();
        kept.until = Some((until, Next::Token));
        Ok(())
    }

    pub(super) fn create_user(&mut self, call: &Call, now: Timestamp) -> Answer<()> {
        let Call::CreateUser { id, name, engine, access, passwords, tags } = call else {
            return refuse("InvalidParameterValue", "not a creation");
        };
        if !is_legal(id) {
            return refuse("InvalidParameterValue", format!("{id:?} is not a valid id"));
        }
        if self.users.contains_key(id) {
            return refuse("UserAlreadyExists", format!("{id} already exists"));
        }
        check_passwords(passwords)?;
        if passwords.is_empty() && engine == "valkey" {
            return refuse("InvalidParameterCombination", "a user of valkey needs a password");
        }
        let (status, groups) = ("creating".to_owned(), BTreeSet::new());
        let (id, name, engine) = (id.clone(), name.clone(), engine.clone());
        let (tags, access) = (tags.clone(), access.clone());
        let count = u32::try_from(passwords.len()).unwrap_or(0);
        let seen = User { id, name, engine, status, tags, access, passwords: count, groups };
        let until = Some(after(now, self.durations.users));
        let kept = KeptUser { seen, until, hidden: self.hide, passwords: texts(passwords) };
        self.users.insert(kept.seen.id.clone(), kept);
        Ok(())
    }

    fn user(&mut self, id: &str) -> Answer<&mut KeptUser> {
        match self.users.get_mut(id) {
            None => refuse("UserNotFound", format!("{id} not found")),
            Some(kept) if kept.seen.status != "active" => {
                refuse("InvalidUserState", format!("{id} is {}", kept.seen.status))
            }
            Some(kept) => Ok(kept),
        }
    }

    /// A user that can be in a group of this engine.
    fn fits(&mut self, id: &str, engine: &str) -> Answer<&mut KeptUser> {
        let kept = self.user(id)?;
        if kept.seen.engine == engine || (engine == "valkey" && !kept.passwords.is_empty()) {
            return Ok(kept);
        }
        refuse("InvalidParameterCombination", format!("{id} is of {}, not {engine}", kept.seen.engine))
    }

    pub(super) fn modify_user(
        &mut self,
        id: &str,
        access: Option<&str>,
        passwords: Option<&[Password]>,
        now: Timestamp,
    ) -> Answer<()> {
        let until = Some(after(now, self.durations.users));
        if let Some(passwords) = passwords {
            check_passwords(passwords)?;
            if passwords.is_empty() {
                return refuse("InvalidParameterValue", "at least one password");
            }
        }
        let kept = self.user(id)?;
        if let Some(access) = access {
            kept.seen.access = access.to_owned();
        }
        if let Some(passwords) = passwords {
            kept.passwords = texts(passwords);
            kept.seen.passwords = u32::try_from(passwords.len()).unwrap_or(0);
        }
        kept.seen.status = "modifying".into();
        kept.until = until;
        for group in self.user_groups.values_mut().filter(|group| group.seen.users.contains(id)) {
            group.seen.status = "modifying".into();
            group.until = until;
        }
        Ok(())
    }

    pub(super) fn delete_user(&mut self, id: &str, now: Timestamp) -> Answer<()> {
        let until = Some(after(now, self.durations.users));
        let kept = self.user(id)?;
        if !kept.seen.groups.is_empty() {
            return refuse("InvalidUserState", format!("{id} is in a user group"));
        }
        kept.seen.status = "deleting".into();
        kept.until = until;
        Ok(())
    }

    pub(super) fn create_user_group(
        &mut self,
        id: &str,
        engine: &str,
        users: &BTreeSet<String>,
        tags: &Tags,
        now: Timestamp,
    ) -> Answer<()> {
        if !is_legal(id) {
            return refuse("InvalidParameterValue", format!("{id:?} is not a valid id"));
        }
        if self.user_groups.contains_key(id) {
            return refuse("UserGroupAlreadyExists", format!("{id} already exists"));
        }
        for user in users {
            self.fits(user, engine)?;
        }
        let names: BTreeSet<&String> =
            users.iter().filter_map(|user| self.users.get(user)).map(|user| &user.seen.name).collect();
        if names.len() != users.len() {
            return refuse("DuplicateUserName", "two users of one name");
        }
        if engine == "redis" && !names.iter().any(|name| *name == "default") {
            return refuse("DefaultUserRequired", "a group of redis needs a user of the name default");
        }
        for user in users {
            self.user(user)?.seen.groups.insert(id.to_owned());
        }
        let (id, engine, users, used_by) = (id.to_owned(), engine.to_owned(), users.clone(), BTreeSet::new());
        let seen = UserGroup { id, engine, status: "creating".into(), tags: tags.clone(), users, used_by };
        let kept = KeptUserGroup { seen, until: Some(after(now, self.durations.users)), hidden: self.hide };
        self.user_groups.insert(kept.seen.id.clone(), kept);
        Ok(())
    }

    fn user_group(&mut self, id: &str) -> Answer<&mut KeptUserGroup> {
        match self.user_groups.get_mut(id) {
            None => refuse("UserGroupNotFound", format!("{id} not found")),
            Some(kept) if kept.seen.status != "active" => {
                refuse("InvalidUserGroupState", format!("{id} is {}", kept.seen.status))
            }
            Some(kept) => Ok(kept),
        }
    }

    pub(super) fn modify_user_group(
        &mut self,
        id: &str,
        add: &BTreeSet<String>,
        remove: &BTreeSet<String>,
        now: Timestamp,
    ) -> Answer<()> {
        let until = Some(after(now, self.durations.users));
        let group = self.user_group(id)?.seen.clone();
        if remove.iter().any(|user| !group.users.contains(user)) || group.users.is_subset(remove) {
            return refuse("InvalidParameterCombination", "these are not in the group, or are all of it");
        }
        if remove.iter().filter_map(|user| self.users.get(user)).any(|user| user.seen.name == "default") {
            return refuse("DefaultUserRequired", "the user of the name default stays");
        }
        for user in add {
            self.fits(user, &group.engine)?.seen.groups.insert(id.to_owned());
        }
        for user in remove {
            if let Some(kept) = self.users.get_mut(user) {
                kept.seen.groups.remove(id);
            }
        }
        let group = self.user_group(id)?;
        group.seen.users.extend(add.iter().cloned());
        group.seen.users.retain(|user| !remove.contains(user));
        group.seen.status = "modifying".into();
        group.until = until;
        Ok(())
    }

    pub(super) fn delete_user_group(&mut self, id: &str, now: Timestamp) -> Answer<()> {
        let until = Some(after(now, self.durations.users));
        let group = self.user_group(id)?;
        if !group.seen.used_by.is_empty() {
            return refuse("InvalidUserGroupState", format!("{id} is used"));
        }
        group.seen.status = "deleting".into();
        group.until = until;
        Ok(())
    }

    /// A replication group uses it from now on.
    pub(super) fn use_group(&mut self, name: &str, id: &str) -> Answer<()> {
        self.user_group(name)?.seen.used_by.insert(id.to_owned());
        Ok(())
    }

    pub(super) fn settle_users(&mut self, now: Timestamp) {
        let is_due = |until: &Option<Timestamp>| until.is_some_and(|at| at <= now);
        self.users.retain(|_, kept| !(is_due(&kept.until) && kept.seen.status == "deleting"));
        for kept in self.users.values_mut().filter(|kept| is_due(&kept.until)) {
            (kept.until, kept.seen.status) = (None, "active".into());
        }
        let gone = |kept: &KeptUserGroup| is_due(&kept.until) && kept.seen.status == "deleting";
        let names: Vec<String> =
            self.user_groups.values().filter(|kept| gone(kept)).map(|kept| kept.seen.id.clone()).collect();
        for name in names {
            self.user_groups.remove(&name);
            self.users.values_mut().for_each(|user| user.seen.groups.retain(|group| *group != name));
        }
        for kept in self.user_groups.values_mut().filter(|kept| is_due(&kept.until)) {
            (kept.until, kept.seen.status) = (None, "active".into());
        }
    }
}
