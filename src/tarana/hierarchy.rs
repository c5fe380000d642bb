//! The names of markets, sites, cells and sectors by id, for the listing that tells only ids.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::Client;
use super::envelope::object;
use super::scalar;
use super::wire::Request;
use crate::fault::{Fault, Reason};
use crate::station::{Rejected, Text};

/// The names of one level.
pub(super) type Level = HashMap<i32, Text>;

/// What has which name.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) markets: Level,
    pub(super) sites: Level,
    pub(super) cells: Level,
    pub(super) sectors: Level,
}

/// Reads the hierarchy. Where it is refused or of another shape there are no names, and a note: an unknown name never
/// erases a known one.
///
/// # Errors
/// Whatever may pass by itself: a new row should not be without the names that it could have.
pub(super) async fn read(client: &Client) -> Result<(Names, Option<Rejected>), Fault> {
    let operator = client.operator_id().await?;
    let request = Request::get(format!("/api/nqs/v1/operators/{operator}/network-hierarchy"));
    match client.call(&request, |data: &RawValue| names(data.get())).await {
        Ok(names) => Ok((names, None)),
        Err(fault)
            if matches!(
                fault.reason,
                Reason::AccessDenied | Reason::ApiRejected | Reason::ApiChanged
            ) =>
        {
            let why = format!("no names of markets, sites, cells and sectors: {}", fault.message);
            Ok((Names::default(), Some(Rejected { serial: None, why })))
        }
        Err(fault) => Err(fault),
    }
}

#[derive(Deserialize)]
struct Branch<'a> {
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

/// Reads the tree. What cannot be read of it has no name.
pub(super) fn names(tree: &str) -> Result<Names, String> {
    let mut names = Names::default();
    let root: Branch<'_> = object(tree).map_err(|_| "the hierarchy is not an object")?;
    let regions = root.children.ok_or("`data.regions` is missing")?;
    for region in branches(regions) {
        for market in region.children.into_iter().flat_map(branches) {
            note(&mut names.markets, &market);
            for site in market.children.into_iter().flat_map(branches) {
                note(&mut names.sites, &site);
                for cell in site.children.into_iter().flat_map(branches) {
                    note(&mut names.cells, &cell);
                    for sector in cell.children.into_iter().flat_map(branches) {
                        note(&mut names.sectors, &sector);
                    }
                }
            }
        }
    }
    Ok(names)
}

fn branches(list: &RawValue) -> Vec<Branch<'_>> {
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| object(item.get()).ok())
        .collect()
}

fn note(level: &mut Level, branch: &Branch<'_>) {
    let id = branch.id.and_then(|raw| scalar::id(raw.get()).ok()?);
    let name = branch.name.and_then(|raw| scalar::name(raw.get()).ok()?);
    if let (Some(id), Some(name)) = (id, name) {
        level.insert(id, name.into());
    }
}
