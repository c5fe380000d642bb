//! Pure: the identity of an authenticated caller.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::role::RoleGrant;

/// An authenticated user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// User name, for the log and the runs that the caller creates.
    pub name: String,
    pub(super) identity: Identity,
}

/// Who vouches for the caller, and what decides about its permissions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// Kubernetes, which also decides about permissions.
    Kubernetes(KubernetesUser),
    /// Supabase, with a configured role.
    Supabase {
        /// Id in `admin_users`.
        user_id: Uuid,
        grant: RoleGrant,
    },
}

/// A user as Kubernetes describes it, besides the name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct KubernetesUser {
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Caller {
    /// The groups. A Supabase user is in none.
    pub fn groups(&self) -> &[String] {
        match &self.identity {
            Identity::Kubernetes(user) => &user.groups,
            Identity::Supabase { .. } => &[],
        }
    }

    /// The id in `admin_users` of a Supabase user.
    pub fn admin_user_id(&self) -> Option<Uuid> {
        match &self.identity {
            Identity::Kubernetes(_) => None,
            Identity::Supabase { user_id, .. } => Some(*user_id),
        }
    }
}
