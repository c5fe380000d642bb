//! Authentication (`TokenReview`) and authorization (`SubjectAccessReview`) through the Kubernetes API.

use std::sync::Arc;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::caller::{Caller, Identity, KubernetesUser};
use super::permission::Permission;
use crate::admin::problem::Problem;

/// The user that a token for this audience identifies; `None` if the token is invalid. Without an audience, it is that of the API server.
pub(super) async fn review_token(
    client: &Client,
    audience: Option<&str>,
    token: &str,
) -> Result<Option<Arc<Caller>>, Problem> {
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: token.to_owned(),
            audiences: audience.map(|audience| vec![audience.to_owned()]),
        },
        ..TokenReview::default()
    };
    let created = Api::all(client.clone())
        .create(&PostParams::default(), &review)
        .await;
    let status = created
        .map_err(Problem::from_kubernetes)?
        .status
        .unwrap_or_default();
    // An authenticator that knows no audiences ignores the one that was requested.
    let is_for_us = audience.is_none_or(|audience| {
        let audiences = status.audiences.unwrap_or_default();
        audiences.iter().any(|other| other == audience)
    });
    let user = status
        .user
        .filter(|_| status.authenticated == Some(true) && is_for_us);
    Ok(user.and_then(|user| {
        // A user without a name is not authenticated.
        let name = user.username.filter(|name| !name.is_empty())?;
        Some(Arc::new(Caller {
            name,
            identity: Identity::Kubernetes(KubernetesUser {
                uid: user.uid,
                groups: user.groups.unwrap_or_default(),
                extra: user.extra.unwrap_or_default(),
            }),
        }))
    }))
}

/// Whether the user of this name has the permission.
pub(super) async fn review_access(
    client: &Client,
    name: &str,
    user: &KubernetesUser,
    permission: &Permission,
) -> Result<bool, Problem> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(name.to_owned()),
            uid: user.uid.clone(),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.clone()),
            resource_attributes: (!permission.is_path).then(|| resource_attributes(permission)),
            non_resource_attributes: permission.is_path.then(|| NonResourceAttributes {
                path: Some(permission.resource.to_owned()),
                verb: Some(permission.verb.to_owned()),
            }),
        },
        ..SubjectAccessReview::default()
    };
    let created = Api::all(client.clone())
        .create(&PostParams::default(), &review)
        .await;
    let status = created
        .map_err(Problem::from_kubernetes)?
        .status
        .unwrap_or_default();
    // An explicit denial by one authorizer wins over another that allows.
    Ok(status.allowed && status.denied != Some(true))
}

fn resource_attributes(permission: &Permission) -> ResourceAttributes {
    ResourceAttributes {
        group: Some("tarana.dev".to_owned()),
        resource: Some(permission.resource.to_owned()),
        verb: Some(permission.verb.to_owned()),
        namespace: permission.namespace.clone(),
        name: permission.name.clone(),
        ..ResourceAttributes::default()
    }
}
