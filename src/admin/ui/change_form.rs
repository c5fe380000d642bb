//! A form that changes something: the signed-in user who sent it from a page of this host, and its fields.

use axum::extract::{FromRequest, RawForm, Request};
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::account::Account;
use crate::admin::problem::Problem;
use crate::admin::state::SharedState;

/// A form of a signed-in user that another site did not forge.
#[derive(Debug)]
pub struct ChangeForm<T> {
    pub account: Account,
    pub fields: T,
}

/// The field of every such form that proves where it comes from.
#[derive(Deserialize)]
struct Protection {
    csrf_token: Option<String>,
}

impl<T: DeserializeOwned> FromRequest<SharedState> for ChangeForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let account = Account::find(&mut parts, state).await?;
        let (method, headers) = (parts.method.clone(), parts.headers.clone());
        let form = RawForm::from_request(Request::from_parts(parts, body), state).await;
        let RawForm(form) = form.map_err(|rejection| invalid_form(rejection.status()))?;
        // Two passes: a flattened struct would read only text, no numbers and no booleans.
        let protection: Protection = decode(&form)?;
        account
            .session
            .check_forgery(&method, &headers, protection.csrf_token.as_deref())?;
        Ok(Self {
            account,
            fields: decode(&form)?,
        })
    }
}

fn decode<T: DeserializeOwned>(form: &[u8]) -> Result<T, Problem> {
    serde_urlencoded::from_bytes(form).map_err(|_| invalid_form(StatusCode::UNPROCESSABLE_ENTITY))
}

/// Why a form is rejected. The text of the rejection may quote a secret.
pub fn invalid_form(status: StatusCode) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::PayloadTooLarge("the form is too long".to_owned()),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::UnsupportedMediaType("send the form as application/x-www-form-urlencoded".to_owned())
        }
        _ => Problem::BadRequest("the form lacks a field, or a field has an invalid value".to_owned()),
    }
}
