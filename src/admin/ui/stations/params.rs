//! The query of the table of stations.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use crate::admin::state::SharedState;
use crate::admin::station_query::{FilterQuery, ListQuery, PageQuery};
use crate::admin::ui::page_params::PageParams;

/// Which stations, and which page of them.
#[derive(Debug)]
pub struct ListParams {
    pub filter: FilterQuery,
    pub page: PageQuery,
}

impl FromRequestParts<SharedState> for ListParams {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        let PageParams(query) = PageParams::<ListQuery>::from_request_parts(parts, state).await?;
        let (filter, page) = query.into_parts().map_err(IntoResponse::into_response)?;
        Ok(Self { filter, page })
    }
}
