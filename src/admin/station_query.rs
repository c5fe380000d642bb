//! Pure: the query parameters that select stations, for the API and the pages.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use crate::store::{self, StationFilter};

const DEFAULT_PAGE_SIZE: i64 = 50;
const MAX_PAGE_SIZE: i64 = 1000;
/// Maximum length of a filter.
pub const MAX_FILTER_CHARS: usize = 200;

/// Query parameters that select the connection whose stations are read.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConnectionQuery {
    /// Namespace of the connection. Default: `--admin-namespace` of the operator.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    pub namespace: Option<String>,
    /// Name of the connection. Default: `--admin-connection` of the operator.
    pub connection: Option<String>,
}

impl ConnectionQuery {
    /// A connection that a form names.
    pub fn named(namespace: &str, connection: &str) -> Result<Self, Problem> {
        // An empty namespace would be authorized as all namespaces.
        if namespace.is_empty() || connection.is_empty() {
            return Err(Problem::BadRequest(
                "namespace, connection: must not be empty".to_owned(),
            ));
        }
        Ok(Self {
            namespace: Some(namespace.to_owned()),
            connection: Some(connection.to_owned()),
        })
    }
}

/// Query of an export.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FilterQuery {
    /// Namespace of the connection. Default: `--admin-namespace` of the operator.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    pub namespace: Option<String>,
    /// Name of the connection. Default: `--admin-connection` of the operator.
    pub connection: Option<String>,
    /// Text in the serial number or in the name of host, site, cell or sector, case-insensitive.
    #[param(max_length = 200)]
    pub search: Option<String>,
    /// Market.
    pub market: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Whether the station is online.
    pub online: Option<bool>,
}

impl FilterQuery {
    /// The connection whose stations are read.
    pub fn connection(&self) -> ConnectionQuery {
        ConnectionQuery {
            namespace: self.namespace.clone(),
            connection: self.connection.clone(),
        }
    }

    /// The same connection without a filter.
    pub fn without_filters(&self) -> Self {
        Self {
            namespace: self.namespace.clone(),
            connection: self.connection.clone(),
            ..Self::default()
        }
    }

    /// Whether it selects some of the stations.
    pub fn is_filtered(&self) -> bool {
        self.online.is_some() || self.texts().iter().any(|text| text.is_some())
    }

    /// The filter, if its texts are valid.
    pub fn filter(&self) -> Result<StationFilter<'_>, Problem> {
        let is_invalid = |text: &String| text.contains('\0') || text.chars().count() > MAX_FILTER_CHARS;
        if self.texts().into_iter().flatten().any(is_invalid) {
            return Err(Problem::BadRequest(format!(
                "search, market, region: must have at most {MAX_FILTER_CHARS} characters and no NUL"
            )));
        }
        Ok(StationFilter {
            text: self.search.as_deref(),
            market: self.market.as_deref(),
            region: self.region.as_deref(),
            online: self.online,
        })
    }

    fn texts(&self) -> [&Option<String>; 3] {
        [&self.search, &self.market, &self.region]
    }
}

/// Sort key of stations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Sort {
    #[default]
    Serial,
    Hostname,
    SiteName,
    Market,
    Region,
    Online,
    ActiveConnections,
    LastUpdated,
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Sort {
    fn column(self) -> store::StationSort {
        match self {
            Self::Serial => store::StationSort::Serial,
            Self::Hostname => store::StationSort::Hostname,
            Self::SiteName => store::StationSort::Site,
            Self::Market => store::StationSort::Market,
            Self::Region => store::StationSort::Region,
            Self::Online => store::StationSort::Status,
            Self::ActiveConnections => store::StationSort::Connections,
            Self::LastUpdated => store::StationSort::LastUpdated,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Query of the list. The first fields are those of [`FilterQuery`]: serde cannot reject unknown parameters of a query within a query.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Namespace of the connection. Default: `--admin-namespace` of the operator.
    #[serde(default, deserialize_with = "crate::admin::extract::namespace")]
    namespace: Option<String>,
    /// Name of the connection. Default: `--admin-connection` of the operator.
    connection: Option<String>,
    /// Text in the serial number or in the name of host, site, cell or sector, case-insensitive.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Market.
    market: Option<String>,
    /// Region.
    region: Option<String>,
    /// Whether the station is online.
    online: Option<bool>,
    /// Sort key. Default serial.
    sort: Option<Sort>,
    /// Sort order. Default ascending.
    order: Option<Order>,
    /// Number of stations to skip. Default 0.
    #[param(minimum = 0)]
    offset: Option<i64>,
    /// Page size. Default 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A page of the list, with its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery {
    pub sort: Sort,
    pub order: Order,
    pub offset: i64,
    pub limit: i64,
}

impl Default for PageQuery {
    fn default() -> Self {
        Self {
            sort: Sort::default(),
            order: Order::default(),
            offset: 0,
            limit: DEFAULT_PAGE_SIZE,
        }
    }
}

impl ListQuery {
    /// Which stations, and which page of them.
    pub fn into_parts(self) -> Result<(FilterQuery, PageQuery), Problem> {
        let page = PageQuery {
            sort: self.sort.unwrap_or_default(),
            order: self.order.unwrap_or_default(),
            offset: self.offset.unwrap_or_default(),
            limit: self.limit.unwrap_or(DEFAULT_PAGE_SIZE),
        };
        if !(1..=MAX_PAGE_SIZE).contains(&page.limit) || page.offset < 0 {
            return Err(Problem::BadRequest(format!(
                "limit: must be a number from 1 to {MAX_PAGE_SIZE}; offset: must be at least 0"
            )));
        }
        let filter = FilterQuery {
            namespace: self.namespace,
            connection: self.connection,
            search: self.search,
            market: self.market,
            region: self.region,
            online: self.online,
        };
        Ok((filter, page))
    }
}

/// The query of the database.
pub fn station_query<'a>(
    filter: &'a FilterQuery,
    page: &PageQuery,
) -> Result<store::StationQuery<'a>, Problem> {
    Ok(store::StationQuery {
        filter: filter.filter()?,
        sort: page.sort.column(),
        descending: page.order == Order::Descending,
        offset: page.offset,
        limit: page.limit,
    })
}
