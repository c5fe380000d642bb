//! The names of markets, sites, cells and sectors by id, for the listing that has only ids.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fault::{Fault, Reason};
use crate::station::{Rejected, Text};
use crate::tarana::http::envelope::parse_object;
use crate::tarana::http::{Api, Request, RequestClass};
use crate::tarana::scalar;

/// The names of one level by id.
pub(super) type Level = HashMap<i32, Text>;

/// The names of all levels.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) markets: Level,
    pub(super) sites: Level,
    pub(super) cells: Level,
    pub(super) sectors: Level,
}

/// Reads the hierarchy. If the API rejects the request or answers with another shape, there are no names, and a note: an
/// unknown name never erases a known one.
///
/// # Errors
/// Transient faults: a new row should not lack names that a retry would find.
pub(super) async fn read_names(api: &Api) -> Result<(Names, Option<Rejected>), Fault> {
    let operator = api.operator_id().await?;
    let request = Request::get(
        RequestClass::Hierarchy,
        format!("/api/nqs/v1/operators/{operator}/network-hierarchy"),
    );
    match api
        .call(&request, |data: &RawValue| parse_names(data.get()))
        .await
    {
        Ok(names) => Ok((names, None)),
        Err(fault)
            if matches!(
                fault.reason,
                Reason::AccessDenied | Reason::ApiRejected | Reason::ApiChanged
            ) =>
        {
            let why = format!(
                "the names of markets, sites, cells and sectors are unknown: {}",
                fault.message
            );
            Ok((Names::default(), Some(Rejected { serial: None, why })))
        }
        Err(fault) => Err(fault),
    }
}

#[derive(Deserialize)]
struct Node<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(
        borrow,
        alias = "regions",
        alias = "markets",
        alias = "sites",
        alias = "cells",
        alias = "sectors"
    )]
    children: Option<&'a RawValue>,
}

/// Parses the tree. Nodes that cannot be parsed are left out.
pub(super) fn parse_names(tree: &str) -> Result<Names, String> {
    let mut names = Names::default();
    let root: Node<'_> = parse_object(tree).map_err(|_| "the hierarchy is not an object")?;
    let regions = root.children.ok_or("`data.regions` is missing")?;
    for region in child_nodes(regions) {
        for market in region.children.into_iter().flat_map(child_nodes) {
            insert(&mut names.markets, &market);
            for site in market.children.into_iter().flat_map(child_nodes) {
                insert(&mut names.sites, &site);
                for cell in site.children.into_iter().flat_map(child_nodes) {
                    insert(&mut names.cells, &cell);
                    for sector in cell.children.into_iter().flat_map(child_nodes) {
                        insert(&mut names.sectors, &sector);
                    }
                }
            }
        }
    }
    Ok(names)
}

fn child_nodes(list: &RawValue) -> Vec<Node<'_>> {
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| parse_object(item.get()).ok())
        .collect()
}

fn insert(level: &mut Level, node: &Node<'_>) {
    let id = node.id.and_then(|raw| scalar::id(raw.get()).ok()?);
    let name = node.name.and_then(|raw| scalar::name(raw.get()).ok()?);
    if let (Some(id), Some(name)) = (id, name) {
        level.insert(id, name.into());
    }
}
