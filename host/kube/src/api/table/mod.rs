//! Objects as a `Table`, which is how kubectl prints them (`pkg/printers/internalversion`).

mod apps;
mod batch;
mod others;
mod pods;
mod rest;

use podlab_sim::Handle;
use serde::Serialize;
use serde_json::{Value, json};

use super::request::Request;
use crate::store::object;
use crate::store::{Resource, Row};

/// A column: name and priority (1 is shown with `-o wide` only).
type Column = (&'static str, u8);
type Cells = fn(&Value, u64) -> Vec<Value>;
type Fill = dyn Fn(&Value, u64) -> Vec<Value>;

/// The columns of a kind, and how to fill them.
fn columns(row: &Resource) -> (&'static [Column], Cells) {
    match &*row.plural {
        "pods" => (pods::COLUMNS, pods::cells),
        "namespaces" => (rest::STATUS, rest::namespace),
        "nodes" => (rest::NODE, rest::node),
        "services" => (rest::SERVICE, rest::service),
        "endpoints" => (rest::ENDPOINTS, rest::endpoints),
        "configmaps" => (rest::CONFIG_MAP, rest::config_map),
        "secrets" => (rest::SECRET, rest::secret),
        "events" => (rest::EVENT, rest::event),
        "serviceaccounts" => (rest::ACCOUNT, rest::account),
        "persistentvolumeclaims" => (rest::CLAIM, rest::claim),
        "leases" => (rest::LEASE, rest::lease),
        "endpointslices" => (rest::SLICE, rest::slice),
        "deployments" => (apps::DEPLOYMENT, apps::deployment),
        "replicasets" => (apps::REPLICA_SET, apps::replica_set),
        "replicationcontrollers" => (apps::REPLICA_SET, apps::replication_controller),
        "daemonsets" => (apps::DAEMON_SET, apps::daemon_set),
        "statefulsets" => (apps::STATEFUL_SET, apps::stateful_set),
        "controllerrevisions" => (apps::REVISION, apps::revision),
        "podtemplates" => (apps::POD_TEMPLATE, apps::pod_template),
        "jobs" => (batch::JOB, batch::job),
        "cronjobs" => (batch::CRON_JOB, batch::cron_job),
        "poddisruptionbudgets" => (batch::BUDGET, batch::budget),
        "resourcequotas" => (batch::QUOTA, batch::quota),
        "persistentvolumes" => (batch::VOLUME, batch::volume),
        "storageclasses" => (batch::STORAGE_CLASS, batch::storage_class),
        "priorityclasses" => (batch::PRIORITY_CLASS, batch::priority_class),
        "horizontalpodautoscalers" => (batch::AUTOSCALER, batch::autoscaler),
        "ingresses" => (others::INGRESS, others::ingress),
        "ingressclasses" => (others::INGRESS_CLASS, others::ingress_class),
        "networkpolicies" => (others::NETWORK_POLICY, others::network_policy),
        "clusterrolebindings" | "rolebindings" => (others::BINDING, others::binding),
        "csidrivers" => (others::CSI_DRIVER, others::csi_driver),
        "csinodes" => (others::CSI_NODE, others::csi_node),
        "volumeattachments" => (others::ATTACHMENT, others::attachment),
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
            (others::WEBHOOKS, others::webhooks)
        }
        "validatingadmissionpolicies" => (others::ADMISSION_POLICY, others::admission_policy),
        "validatingadmissionpolicybindings" => {
            (others::ADMISSION_BINDING, others::admission_binding)
        }
        "certificatesigningrequests" => (others::SIGNING, others::signing),
        "apiservices" => (others::API_SERVICE, others::api_service),
        "flowschemas" => (others::FLOW_SCHEMA, others::flow_schema),
        "prioritylevelconfigurations" => (others::PRIORITY_LEVEL, others::priority_level),
        "runtimeclasses" => (others::RUNTIME_CLASS, others::runtime_class),
        "componentstatuses" => (others::COMPONENT, others::component),
        _ => (&[("Name", 0), ("Created At", 0)], |o, _| {
            vec![object::name(o).into(), object::meta(o, "creationTimestamp").into()]
        }),
    }
}

/// The type and format of a column.
fn kind_of(plural: &str, column: &str) -> (&'static str, &'static str) {
    match (plural, column) {
        (_, "Name") | ("volumeattachments", "Attacher") => ("string", "name"),
        (_, "Created At") => ("date", ""),
        (
            "replicationcontrollers" | "replicasets" | "daemonsets",
            "Desired" | "Current" | "Ready" | "Up-to-date" | "Available",
        ) => ("integer", ""),
        ("cronjobs", "Active")
        | ("poddisruptionbudgets", "Allowed Disruptions")
        | ("csinodes", "Drivers")
        | (_, "Webhooks" | "Validations")
        | ("priorityclasses", "Value") => ("integer", ""),
        ("cronjobs", "Suspend")
        | ("csidrivers", "AttachRequired" | "PodInfoOnMount" | "StorageCapacity")
        | ("csidrivers", "RequiresRepublish")
        | ("volumeattachments", "Attached")
        | ("priorityclasses", "Global-Default") => ("boolean", ""),
        _ => ("string", ""),
    }
}

/// Numbers are numbers in columns of numbers. (Switches are words in some kinds: "False".)
fn typed(cells: Vec<Value>, columns: &[Value]) -> Vec<Value> {
    cells
        .into_iter()
        .zip(columns)
        .map(|(cell, column)| match (column["type"].as_str(), cell.as_str()) {
            (Some("integer"), Some(text)) => text.parse::<i64>().map_or(cell, Value::from),
            _ => cell,
        })
        .collect()
}

const VERSION: &str = "meta.k8s.io/v1";

/// A table, of objects that are not copied for it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table<'a> {
    api_version: &'static str,
    column_definitions: Vec<Value>,
    kind: &'static str,
    metadata: Value,
    rows: Vec<TableRow<'a>>,
}

#[derive(Serialize)]
struct TableRow<'a> {
    cells: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Shown<'a>>,
}

/// The object of a row.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Object(&'a Value),
    #[serde(rename_all = "camelCase")]
    Metadata {
        api_version: &'static str,
        kind: &'static str,
        metadata: &'a Value,
    },
}

/// How a client wants its tables.
pub(super) struct TableView {
    row: Row,
    sim: Handle,
    include: Include,
    /// Only the first table of a watch has the columns.
    defined: bool,
}

#[derive(PartialEq)]
enum Include {
    Nothing,
    Metadata,
    Object,
}

impl TableView {
    /// `None` if the client wants objects.
    pub fn wanted(request: &Request, row: &Row, sim: &Handle) -> Option<TableView> {
        let table = request.accept.split(',').any(|a| {
            let mut parts = a.split(';').map(str::trim);
            parts.clone().any(|p| p == "as=Table") && parts.any(|p| p == "g=meta.k8s.io")
        });
        let include = match request.param("includeObject") {
            "None" => Include::Nothing,
            "Object" => Include::Object,
            _ => Include::Metadata,
        };
        table.then(|| TableView { row: row.clone(), sim: sim.clone(), include, defined: false })
    }

    /// The columns, and what fills them.
    fn layout(&self) -> (Vec<Value>, Box<Fill>) {
        let define = |name: &str, kind: &str, format: &str, priority: &Value, about: &str| {
            json!({
                "name": name, "type": kind, "format": format, "description": about,
                "priority": priority,
            })
        };
        if let Some(version) = self.row.version_of_custom() {
            let mut own = version.columns.clone();
            if own.is_empty() {
                own.push(json!({
                    "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"
                }));
            }
            let text = |c: &Value, field: &str| c[field].as_str().unwrap_or("").to_string();
            let mut all = vec![define("Name", "string", "name", &json!(0), "")];
            for c in &own {
                let priority = json!(c["priority"].as_i64().unwrap_or(0));
                all.push(define(
                    &text(c, "name"),
                    &text(c, "type"),
                    &text(c, "format"),
                    &priority,
                    &text(c, "description"),
                ));
            }
            return (all, Box::new(move |o, now| others::custom(o, &own, now)));
        }
        let (columns, cells) = columns(&self.row);
        let all = columns.iter().map(|(name, priority)| {
            let (kind, format) = kind_of(&self.row.plural, name);
            define(name, kind, format, &json!(priority), "")
        });
        (all.collect(), Box::new(cells))
    }

    pub fn table<'a>(&mut self, objects: &[&'a Value], metadata: Value) -> Table<'a> {
        let now = self.sim.unix_nanos();
        let (definitions, cells) = self.layout();
        let rows = objects
            .iter()
            .map(|o| TableRow {
                cells: typed(cells(o, now), &definitions),
                object: match self.include {
                    Include::Nothing => None,
                    Include::Object => Some(Shown::Object(o)),
                    Include::Metadata => Some(Shown::Metadata {
                        api_version: VERSION,
                        kind: "PartialObjectMetadata",
                        metadata: &o["metadata"],
                    }),
                },
            })
            .collect();
        let column_definitions = if self.defined { Vec::new() } else { definitions };
        Table { api_version: VERSION, column_definitions, kind: "Table", metadata, rows }
    }

    /// The object of a watch's event as a table; a bookmark has no row.
    pub fn event<'a>(&mut self, object: &'a Value, bookmark: bool) -> Table<'a> {
        let table = if bookmark {
            self.table(&[], object["metadata"].clone())
        } else {
            let version = object::meta(object, "resourceVersion");
            self.table(&[object], json!({"resourceVersion": version}))
        };
        self.defined = true;
        table
    }
}

/// How long ago a time was, as kubectl says it ("5m12s"); `<unknown>` if it is none.
fn ago(time: &Value, now: u64) -> String {
    match time.as_str().and_then(object::parse_time) {
        Some(at) => human(now.saturating_sub(at) / 1_000_000_000),
        None => "<unknown>".into(),
    }
}

fn age(o: &Value, now: u64) -> Value {
    ago(&o["metadata"]["creationTimestamp"], now).into()
}

/// Seconds as `duration.HumanDuration` prints them.
fn human(s: u64) -> String {
    let (m, h, d) = (s / 60, s / 3600, s / 86400);
    let two = |big: u64, b: &str, small: u64, l: &str| {
        if small == 0 { format!("{big}{b}") } else { format!("{big}{b}{small}{l}") }
    };
    if s < 120 {
        format!("{s}s")
    } else if m < 10 {
        two(m, "m", s % 60, "s")
    } else if h < 3 {
        format!("{m}m")
    } else if h < 8 {
        two(h, "h", m % 60, "m")
    } else if h < 48 {
        format!("{h}h")
    } else if d < 8 {
        two(d, "d", h % 24, "h")
    } else if d < 2 * 365 {
        format!("{d}d")
    } else if d < 8 * 365 {
        two(d / 365, "y", d % 365, "d")
    } else {
        format!("{}y", d / 365)
    }
}

#[test]
fn durations_are_written_as_kubectl_does() {
    for (s, want) in [
        (0, "0s"),
        (119, "119s"),
        (150, "2m30s"),
        (300, "5m"),
        (10_740, "179m"),
        (3 * 3600 + 300, "3h5m"),
        (47 * 3600, "47h"),
        (51 * 3600, "2d3h"),
        (30 * 86400, "30d"),
        (760 * 86400, "2y30d"),
    ] {
        assert_eq!(human(s), want);
    }
}
