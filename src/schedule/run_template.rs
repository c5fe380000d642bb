//! Pure: the run that a schedule creates: its name, content and owner.
//!
//! The name is a function of the slot, or of the value of the trigger annotation. Creating a run twice therefore finds that it
//! exists.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};

use super::trigger::TriggerRequest;
use crate::api::schedule::{SCHEDULE_LABEL, TaranaSyncSchedule};
use crate::api::sync::{TaranaSync, TaranaSyncSpec, Trigger, TriggerType};
use crate::cluster::WatchSelector;
use crate::cron::slots::stable_hash;

/// The run of a slot.
pub fn run_for_slot(schedule: &TaranaSyncSchedule, slot: Timestamp, selector: &WatchSelector) -> TaranaSync {
    let trigger = Trigger {
        type_: TriggerType::Schedule,
        scheduled_time: Some(Time(slot)),
        ..Trigger::default()
    };
    build(schedule, &slot_suffix(slot), trigger, selector)
}

/// The run that the trigger annotation requests, with the options of the request. Its trigger is `Manual`.
pub fn run_for_request(
    schedule: &TaranaSyncSchedule,
    request: &TriggerRequest,
    selector: &WatchSelector,
) -> TaranaSync {
    let trigger = Trigger::default();
    let hash = stable_hash(request.value.bytes()) >> 32;
    let mut run = build(schedule, &format!("t{hash:08x}"), trigger, selector);
    run.spec.dry_run |= request.dry_run;
    run.spec.delete_stale |= request.delete_stale;
    run
}

/// The name of the run of a slot.
pub fn slot_run_name(schedule: &TaranaSyncSchedule, slot: Timestamp) -> String {
    format!("{}-{}", schedule.name_any(), slot_suffix(slot))
}

fn slot_suffix(slot: Timestamp) -> String {
    slot.as_second().div_euclid(60).to_string()
}

fn build(
    schedule: &TaranaSyncSchedule,
    suffix: &str,
    trigger: Trigger,
    selector: &WatchSelector,
) -> TaranaSync {
    let template = schedule.spec.template.clone();
    let name = schedule.name_any();
    let mut labels = template.metadata.labels;
    labels.insert(SCHEDULE_LABEL.to_owned(), name.clone());
    // Last, so that the template cannot move the run to another operator.
    selector.inherit_labels(schedule.metadata.labels.as_ref(), &mut labels);
    TaranaSync {
        metadata: ObjectMeta {
            name: Some(format!("{name}-{suffix}")),
            namespace: schedule.namespace(),
            labels: Some(labels),
            annotations: Some(template.metadata.annotations).filter(|a| !a.is_empty()),
            owner_references: schedule.controller_owner_ref(&()).map(|owner| {
                vec![OwnerReference {
                    block_owner_deletion: Some(true),
                    ..owner
                }]
            }),
            ..ObjectMeta::default()
        },
        spec: TaranaSyncSpec {
            trigger,
            cancel: false,
            ttl_seconds_after_finished: None,
            approved_deletes: None,
            ..template.spec
        },
        status: None,
    }
}

/// The schedule whose slot's run would have this name.
pub fn schedule_of_slot_name(name: &str) -> Option<&str> {
    let (schedule, minutes) = name.rsplit_once('-')?;
    minutes.bytes().all(|b| b.is_ascii_digit()).then_some(schedule)
}

/// Whether a schedule owns a run. The uid decides: an earlier schedule may have had the same name.
pub fn owns(schedule: &TaranaSyncSchedule, sync: &TaranaSync) -> bool {
    let uid = schedule.metadata.uid.as_deref();
    sync.owner_references()
        .iter()
        .any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == uid)
}
