//! Asks Kubernetes: whose token it is (`TokenReview`), and whether a user may (`SubjectAccessReview`).

use std::sync::Arc;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::{Caller, Right};
use crate::admin::problem::Problem;

/// Whose token it is; `None` if it is nobody's.
pub(super) async fn review(client: &Client, token: &str) -> Result<Option<Arc<Caller>>, Problem> {
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: token.to_owned(),
            ..TokenReviewSpec::default()
        },
        ..TokenReview::default()
    };
    let asked = Api::all(client.clone())
        .create(&PostParams::default(), &review)
        .await;
    let status = asked.map_err(Problem::of_kubernetes)?.status.unwrap_or_default();
    let user = status.user.filter(|_| status.authenticated == Some(true));
    Ok(user.and_then(|user| {
        // Nobody without a name is somebody.
        let name = user.username.filter(|name| !name.is_empty())?;
        Some(Arc::new(Caller {
            name,
            uid: user.uid,
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }))
    }))
}

/// Whether the caller has the right.
pub(super) async fn allows(client: &Client, caller: &Caller, right: &Right) -> Result<bool, Problem> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(caller.name.clone()),
            uid: caller.uid.clone(),
            groups: Some(caller.groups.clone()),
            extra: Some(caller.extra.clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some("tarana.dev".to_owned()),
                resource: Some(right.resource.to_owned()),
                subresource: right.subresource.map(str::to_owned),
                verb: Some(right.verb.to_owned()),
                namespace: right.namespace.clone(),
                name: right.name.clone(),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let asked = Api::all(client.clone())
        .create(&PostParams::default(), &review)
        .await;
    let status = asked.map_err(Problem::of_kubernetes)?.status.unwrap_or_default();
    // A right that is denied by one authorizer is none, whatever another says.
    Ok(status.allowed && status.denied != Some(true))
}
