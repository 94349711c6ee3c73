//! `[instance]`

use serde::{Deserialize, Serialize};

use crate::domain::replicas::role::Role;

/// What this instance does of all that an installation does.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Instance {
    /// `all`, `api` or `sender`. `all`.
    pub role: Role,
}
