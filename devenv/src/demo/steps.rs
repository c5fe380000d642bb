//! The steps of the demo.

use devenv::simulator::Drift;
use devenv::{Operator, Result};

use super::Environment;
use super::check::{Finished, expect_equal};
use super::session_key;
use super::shell::{Shell, print_paragraph};

/// The fraction of the fleet that changes between the first and the second run.
const DRIFT: f64 = 0.03;
/// Base nodes that vanish after the second run: more than the default delete guard allows (the larger of 5 % of 718 and 10).
const VANISHED: usize = 60;

/// The state after the last step.
pub(super) struct Summary {
    /// The running operator.
    pub(super) operator: Operator,
    /// Stale rows: stations that are in the table and no longer in the listing.
    pub(super) stale: usize,
}

/// Runs all steps and leaves the operator running.
pub(super) async fn run(environment: &Environment) -> Result<Summary> {
    let shell = &environment.shell;
    let operator = install_operator(environment).await?;
    create_connection(shell).await?;
    run_first_sync(environment).await?;
    let drift = run_second_sync(environment).await?;
    let stale = run_dry_run(environment, drift.removed).await?;
    run_withheld_deletes(shell, stale).await?;
    run_with_wrong_password(shell).await?;
    run_schedule(shell).await?;
    use_admin_api(shell).await?;
    show_history(shell).await?;
    Ok(Summary { operator, stale })
}

async fn install_operator(environment: &Environment) -> Result<Operator> {
    let shell = &environment.shell;
    shell.print_heading("1. Install the CRDs, the RBAC rules and the operator");
    shell.run("kubectl apply --server-side -f crds/").await?;
    shell
        .run("kubectl wait --for=condition=Established -f crds/")
        .await?;
    shell
        .run(&format!("kubectl create namespace {}", devenv::NAMESPACE))
        .await?;
    // Helm warns about the link to crds/ on standard error, which a user's installation does not have.
    let render_rbac = devenv::RENDER_RBAC_COMMAND.replace(" --show-only", " \\\n    --show-only");
    shell
        .run(&format!(
            "{render_rbac} \\\n    --set admin.sessions.secretName=sessions 2>/dev/null |\n    kubectl apply --server-side -f -"
        ))
        .await?;
    let session_key = environment.log.with_file_name("session-key");
    session_key::write(&session_key)?;
    let session_key = session_key.to_string_lossy();
    let variables = [
        ("TARANA_ADMIN_LISTEN", environment.api_address.as_str()),
        ("TARANA_ADMIN_SESSION_KEY_FILE", &session_key),
    ];
    let operator = Operator::start(
        &environment.program,
        &environment.plane,
        &environment.log,
        &variables,
    )
    .await?;
    print_paragraph(&format!(
        "No node runs pods here, so `tarana-operator run` is a local process (pid {}). It uses a token of that service\n\
         account and has no other rights. Its log: {}",
        operator.pid(),
        operator.log().display()
    ));
    let account = format!(
        "--as=system:serviceaccount:{}:{}",
        devenv::NAMESPACE,
        devenv::SERVICE_ACCOUNT
    );
    shell
        .run_any_exit(&format!(
            "kubectl auth can-i patch taranasyncs --subresource=status {account}"
        ))
        .await?;
    shell
        .run_any_exit(&format!("kubectl auth can-i update secrets {account}"))
        .await?;
    Ok(operator)
}

async fn create_connection(shell: &Shell) -> Result<()> {
    shell.print_heading("2. Create a connection: the source and the destination of the base stations");
    shell
        .run(
            "kubectl create secret generic tcs \\\n    \
             --from-literal=username=operator@example.com --from-literal=password='correct horse'",
        )
        .await?;
    shell
        .run("kubectl create secret generic database --from-literal=url=\"$DATABASE_URL\"")
        .await?;
    shell.run(&apply_connection("default", "tcs")).await?;
    shell
        .run("kubectl wait --for=condition=Ready tconn/default --timeout=60s")
        .await?;
    shell.run("kubectl get tconn -o wide").await
}

async fn run_first_sync(environment: &Environment) -> Result<()> {
    let shell = &environment.shell;
    shell.print_heading("3. The first run fills the table");
    let run = run_sync(shell, "first", &[]).await?;
    run.expect_end("Completed", "Completed")?;
    let fetched = environment.tcs.base_nodes().len();
    run.expect_counts(&[
        ("fetched", fetched),
        ("updated", 0),
        ("unchanged", 0),
        ("deleted", 0),
        ("withheld", 0),
    ])?;
    run.expect_counts(&[("inserted", fetched - run.count("skipped"))])?;
    shell.run("kubectl get tsync").await?;
    shell
        .run(&psql(
            "select market, count(*) as stations, sum(device_status) as online\n    \
             from tarana_base_stations group by market order by stations desc",
        ))
        .await?;
    print_paragraph("Each invalid record is logged; its station counts as present:");
    shell
        .run(&psql(
            "select e->>'message' as message\n    \
             from tarana_sync_logs, jsonb_array_elements(errors) e where name = 'first' limit 3",
        ))
        .await?;
    let rows = shell.query("select count(*) from tarana_base_stations").await?;
    expect_equal("the number of rows", &rows, &run.count("inserted").to_string())
}

async fn run_second_sync(environment: &Environment) -> Result<Drift> {
    let shell = &environment.shell;
    shell.print_heading("4. The second run writes only the rows that differ");
    let drift = environment.tcs.drift(DRIFT);
    print_paragraph(&format!(
        "The fleet has drifted: {} stations changed, {} new, {} removed.",
        drift.changed.len(),
        drift.added.len(),
        drift.removed.len()
    ));
    let run = run_sync(shell, "second", &[]).await?;
    run.expect_end("Completed", "Completed")?;
    let unchanged =
        environment.tcs.base_nodes().len() - drift.changed.len() - drift.added.len() - run.count("skipped");
    run.expect_counts(&[
        ("inserted", drift.added.len()),
        ("updated", drift.changed.len()),
        ("unchanged", unchanged),
        ("deleted", 0),
    ])?;
    shell.run("kubectl get tsync -o wide").await?;
    shell
        .run(&psql(
            "select op, serial, what.key as \\\"column\\\", before->>what.key as was, what.value as became\n    \
             from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run, jsonb_each_text(after::jsonb) what\n    \
             where l.name = 'second' and op = 'update' and what.value is distinct from before->>what.key\n    \
             order by serial limit 6",
        ))
        .await?;
    Ok(drift)
}

/// Returns the number of stale rows.
async fn run_dry_run(environment: &Environment, removed: Vec<String>) -> Result<usize> {
    let shell = &environment.shell;
    shell.print_heading("5. Stations vanish: a dry run shows what a run with deleteStale would do");
    let removed = [removed, environment.tcs.vanish(VANISHED)].concat();
    print_paragraph(&format!(
        "{VANISHED} more stations are missing from the listing: torn down, or a fault of the listing?"
    ));
    // A station whose record was never valid has no row.
    let rows = format!(
        "select count(*) from tarana_base_stations where serial_number in ('{}')",
        removed.join("','")
    );
    let stale = shell.query(&rows).await?.parse().unwrap_or_default();
    let run = run_sync(shell, "what-if", &["dryRun: true", "deleteStale: true"]).await?;
    run.expect_end("Completed", "Completed")?;
    run.expect_condition("DeletesWithheld")?;
    run.expect_counts(&[
        ("withheld", stale),
        ("deleted", 0),
        ("inserted", 0),
        ("updated", 0),
    ])?;
    print_paragraph("Only the plan is stored:");
    shell
        .run(&psql(
            "select c.op, c.applied, count(*), min(before->>'region') as first_region, min(before->>'site_name') as first_site\n    \
             from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run\n    \
             where l.name = 'what-if' group by 1, 2",
        ))
        .await?;
    shell
        .run(&psql(
            "select c.seq, c.op, c.serial, before->>'site_name' as site, before->>'market' as market, c.applied\n    \
             from tarana_sync_changes c join tarana_sync_logs l on l.id = c.run\n    \
             where l.name = 'what-if' order by seq limit 5",
        ))
        .await?;
    Ok(stale)
}

async fn run_withheld_deletes(shell: &Shell, stale: usize) -> Result<()> {
    shell.print_heading("6. A real run: the delete guard withholds the deletes until a user approves them");
    let before = shell.query("select count(*) from tarana_base_stations").await?;
    let run = run_sync(shell, "cleanup", &["deleteStale: true"]).await?;
    run.expect_end("Completed", "Completed")?;
    run.expect_condition("DeletesWithheld")?;
    run.expect_counts(&[("withheld", stale), ("deleted", 0)])?;
    let after = shell.query("select count(*) from tarana_base_stations").await?;
    expect_equal("the number of rows after a withheld deletion", &after, &before)?;
    shell
        .run(
            "kubectl get tsync/cleanup -o jsonpath='{.status.conditions[?(@.type==\"DeletesWithheld\")].message}{\"\\n\"}'",
        )
        .await
}

async fn run_with_wrong_password(shell: &Shell) -> Result<()> {
    shell.print_heading("7. Wrong credentials: the run fails at once and names the remedy");
    shell
        .run(
            "kubectl create secret generic typo \\\n    \
             --from-literal=username=operator@example.com --from-literal=password='correct house'",
        )
        .await?;
    shell.run(&apply_connection("wrong", "typo")).await?;
    let run = run_sync(shell, "refused", &["connectionRef: {name: wrong}"]).await?;
    run.expect_end("Failed", "AuthenticationFailed")?;
    run.expect_condition("Stalled")?;
    shell
        .run("kubectl get tsync/refused -o jsonpath='{.status.conditions[?(@.type==\"Stalled\")].message}{\"\\n\"}'")
        .await
}

async fn run_schedule(shell: &Shell) -> Result<()> {
    shell.print_heading("8. A schedule: a preview and its runs");
    shell
        .run("tarana-operator preview '0 0 * * *' --time-zone Africa/Johannesburg --count 2")
        .await?;
    shell
        .run(
            "kubectl apply -f - <<YAML\n\
             apiVersion: tarana.dev/v1alpha1\n\
             kind: TaranaSyncSchedule\n\
             metadata: {name: every-minute}\n\
             spec: {schedule: \"* * * * *\"}\n\
             YAML",
        )
        .await?;
    shell
        .run(
            "kubectl wait tss/every-minute --for=jsonpath='{.status.lastSync.phase}'=Completed --timeout=90s",
        )
        .await?;
    shell.run("kubectl get tss").await?;
    shell
        .run("kubectl get tsync -l tarana.dev/schedule=every-minute -o wide")
        .await?;
    shell
        .run("kubectl patch tss/every-minute --type merge -p '{\"spec\":{\"suspend\":true}}'")
        .await?;
    let runs =
        "select count(*) > 0 from tarana_sync_logs where trigger_type = 'cron' and status = 'completed'";
    expect_equal("a scheduled run has completed", &shell.query(runs).await?, "t")
}

async fn use_admin_api(shell: &Shell) -> Result<()> {
    shell.print_heading("9. The admin API: a user with the role `edit` starts a run and watches it");
    shell.run("kubectl create serviceaccount ann").await?;
    shell
        .run("kubectl create rolebinding ann --clusterrole=edit --serviceaccount=default:ann")
        .await?;
    // The caller's role is effective as soon as the API server says so.
    shell
        .run("kubectl auth can-i create taranasyncs --as=system:serviceaccount:default:ann")
        .await?;
    shell
        .run("kubectl wait --for=condition=Finished tsync --all --timeout=60s > /dev/null")
        .await?;
    let curl = "curl -sS --fail-with-body -H \"Authorization: Bearer $(kubectl create token ann --audience tarana-operator)\"";
    shell
        .run(&format!(
            "{curl} \\\n    $API_URL/api/admin/tarana/sync -H 'Content-Type: application/json' -d '{{\"dryRun\": true}}'"
        ))
        .await?;
    shell
        .run("kubectl wait --for=condition=Finished tsync --all --timeout=60s > /dev/null")
        .await?;
    shell
        .run(&format!(
            "{curl} \\\n    $API_URL/api/admin/tarana/sync/status | head -c 700"
        ))
        .await?;
    shell
        .run(&format!(
            "{} -N --max-time 2 \\\n    \"$API_URL/api/v1/events?namespace=default&kinds=connections\" | head -c 700",
            curl.replace("-sS --fail-with-body", "-s")
        ))
        .await?;
    print_paragraph(
        "The pages for a browser, where she signs in with the same token. Here curl is the browser:",
    );
    shell
        .run(
            "curl -sS --fail-with-body --cookie-jar /dev/null --location -o /dev/null -w '%{http_code} %{url_effective}\\n' \\\n    \
             --data-urlencode \"token=$(kubectl create token ann --audience tarana-operator)\" $API_URL/admin/sign-in",
        )
        .await?;
    let runs = "select status from tarana_sync_logs where actor = 'system:serviceaccount:default:ann'";
    expect_equal("the run of the API", &shell.query(runs).await?, "completed")
}

async fn show_history(shell: &Shell) -> Result<()> {
    shell.print_heading("10. History");
    shell.run("kubectl get tconn,tss,tsync -A").await?;
    shell.run("kubectl events").await?;
    shell
        .run(&psql(
            "select name, status, reason, attempt, stations_fetched as fetched, inserted as new,\n           \
             updated as changed, unchanged, deleted, skipped, withheld, dry_run, duration_ms as ms\n    \
             from tarana_sync_logs order by created_at",
        ))
        .await?;
    let rows = shell
        .query("select string_agg(name || ' ' || status, ', ' order by created_at) from tarana_sync_logs where trigger_type = 'manual' and actor = ''")
        .await?;
    expect_equal(
        "the log",
        &rows,
        "first completed, second completed, what-if completed, cleanup completed, refused failed",
    )
}

/// Creates a run with these lines in its spec, waits for its end and returns it.
async fn run_sync(shell: &Shell, name: &str, spec: &[&str]) -> Result<Finished> {
    let spec = if spec.is_empty() {
        "spec: {}".to_owned()
    } else {
        format!("spec:\n  {}", spec.join("\n  "))
    };
    shell
        .run(&format!(
            "kubectl create -f - <<YAML\n\
             apiVersion: tarana.dev/v1alpha1\n\
             kind: TaranaSync\n\
             metadata: {{name: {name}}}\n\
             {spec}\n\
             YAML"
        ))
        .await?;
    shell
        .run(&format!(
            "kubectl wait --for=condition=Finished tsync/{name} --timeout=60s"
        ))
        .await?;
    Ok(Finished::new(
        name,
        shell.get_object(&format!("tsync/{name}")).await?,
    ))
}

fn apply_connection(name: &str, secret: &str) -> String {
    format!(
        "kubectl apply --server-side -f - <<YAML\n\
         apiVersion: tarana.dev/v1alpha1\n\
         kind: TaranaConnection\n\
         metadata: {{name: {name}}}\n\
         spec:\n  \
           api:\n    \
             url: $TCS_URL\n    \
             credentialsSecretRef: {{name: {secret}}}\n  \
           database:\n    \
             secretRef: {{name: database}}\n\
         YAML"
    )
}

fn psql(sql: &str) -> String {
    format!("psql \"$DATABASE_URL\" -c \"\n    {sql}\"")
}
