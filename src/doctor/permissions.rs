//! Whether Kubernetes grants this account what the operator needs.

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::report::{Outcome, Section};
use super::required::{Permission, required};
use crate::operator::Config;

/// Reviews in progress.
const CONCURRENCY: usize = 8;

/// Checks all of them, and who this account is.
pub(super) async fn check(client: &Client, config: &Config, section: &mut Section) {
    let account = match account(client).await {
        Ok(account) => {
            section.add("account", Outcome::Ok, account.clone());
            account
        }
        // The kind is not served before Kubernetes 1.28; the reviews below work all the same.
        Err(_) => "this account".to_owned(),
    };
    let required = required(config);
    let reviews: Vec<_> = required
        .iter()
        .map(|permission| async move { Ok((permission, is_allowed(client, permission).await?)) })
        .collect();
    let reviews = stream::iter(reviews).buffered(CONCURRENCY);
    let reviewed: Result<Vec<(&Permission, bool)>, kube::Error> = reviews.try_collect().await;
    let reviewed = match reviewed {
        Ok(reviewed) => reviewed,
        Err(error) => {
            let message = format!("they cannot be reviewed: {error}; try again when the API server works");
            section.add("permissions", Outcome::Failed, message);
            return;
        }
    };
    let lacking = |is_optional| {
        let lacking = reviewed
            .iter()
            .filter(move |(permission, allowed)| !allowed && permission.is_optional == is_optional);
        lacking
            .map(|(permission, _)| permission.to_string())
            .collect::<Vec<_>>()
    };
    let (needed, wanted) = (lacking(false), lacking(true));
    if !needed.is_empty() {
        let message = format!(
            "{account} may not {}: install the chart with rbac.create=true, or grant them",
            needed.join(", ")
        );
        section.add("permissions", Outcome::Failed, message);
    } else if !wanted.is_empty() {
        let message = format!(
            "{account} may not {}: log rows of deleted connections will not be closed",
            wanted.join(", ")
        );
        section.add("permissions", Outcome::Warning, message);
    } else {
        section.add(
            "permissions",
            Outcome::Ok,
            format!("all {} are granted", reviewed.len()),
        );
    }
}

async fn account(client: &Client) -> Result<String, kube::Error> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = api
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    let user = review.status.and_then(|status| status.user_info?.username);
    Ok(user.unwrap_or_else(|| "this account".to_owned()))
}

async fn is_allowed(client: &Client, permission: &Permission) -> Result<bool, kube::Error> {
    let (resource, subresource) = match permission.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (permission.resource, None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(permission.group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource: subresource.map(str::to_owned),
                verb: Some(permission.verb.to_owned()),
                namespace: permission.namespace.clone(),
                name: permission.name.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = api.create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}
