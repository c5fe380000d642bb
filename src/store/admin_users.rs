//! Reads the application's table `admin_users`, which decides who of its users may call the admin API.

use uuid::Uuid;

use super::handle::Store;
use crate::fault::Fault;

/// Whether the application knows a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminUser {
    /// `is_active` is true.
    Active,
    /// `is_active` is false or null.
    Inactive,
    /// There is no row with this id.
    NotFound,
    /// There is no row, or a policy of row-level security hides it.
    NotVisible,
}

impl Store {
    /// The user with this id.
    pub async fn admin_user(&self, id: Uuid) -> Result<AdminUser, Fault> {
        let select = "SELECT (SELECT coalesce(is_active, false) FROM admin_users WHERE id = $1),
                             row_security_active('admin_users')";
        let mut tx = self.db.begin_read_only().await?;
        let row = tx.one(sqlx::query(select).bind(id)).await?;
        let (is_active, has_policies) = (tx.get::<Option<bool>>(&row, 0)?, tx.get::<bool>(&row, 1)?);
        tx.commit().await?;
        Ok(match is_active {
            Some(true) => AdminUser::Active,
            Some(false) => AdminUser::Inactive,
            None if has_policies => AdminUser::NotVisible,
            None => AdminUser::NotFound,
        })
    }
}
