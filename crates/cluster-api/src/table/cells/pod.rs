//! The cells of a Pod. Its one-word status sums up phase, conditions and containers.

use serde_json::Value;

use super::{Compute, at, list, nothing, or, since, text, whole};

/// How the cells of this column are computed.
pub(super) fn of(column: &str) -> Compute {
    match column {
        "Ready" => |it, _| {
            let summary = Summary::of(it);
            format!("{}/{}", summary.ready, summary.total).into()
        },
        "Status" => |it, _| Summary::of(it).reason.into(),
        "Restarts" => |it, now| {
            let summary = Summary::of(it);
            match summary.last_restart {
                Some(last) if summary.restarts > 0 => {
                    format!("{} ({} ago)", summary.restarts, since(&last.into(), now)).into()
                }
                _ => summary.restarts.to_string().into(),
            }
        },
        "IP" => |it, _| or(text(it, "/status/podIPs/0/ip"), "<none>").into(),
        "Node" => |it, _| or(text(it, "/spec/nodeName"), "<none>").into(),
        "Nominated Node" => |it, _| or(text(it, "/status/nominatedNodeName"), "<none>").into(),
        "Readiness Gates" => |it, _| gates(it).into(),
        _ => nothing,
    }
}

fn gates(pod: &Value) -> String {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| condition(pod, text(gate, "/conditionType"))).count();
    format!("{open}/{}", gates.len())
}

fn condition(pod: &Value, kind: &str) -> bool {
    let found = list(pod, "/status/conditions").iter().find(|it| text(it, "/type") == kind);
    found.is_some_and(|it| text(it, "/status") == "True")
}

#[derive(Default)]
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<String>,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let phase = text(pod, "/status/phase");
        let mut reason = or(text(pod, "/status/reason"), phase).to_owned();
        let gated = |it: &Value| text(it, "/type") == "PodScheduled" && text(it, "/reason") == "SchedulingGated";
        if list(pod, "/status/conditions").iter().any(gated) {
            "SchedulingGated".clone_into(&mut reason);
        }
        let init = list(pod, "/spec/initContainers");
        let sidecars = init.iter().filter(|it| is_sidecar(it)).count();
        let total = list(pod, "/spec/containers").len() + sidecars;
        let mut summary = Self { reason, total, ..Self::default() };
        let (mut restarts, mut last_restart) = (0, None);
        let initializing = summary.initialize(pod, init, &mut restarts, &mut last_restart);
        if !initializing || condition(pod, "Initialized") {
            summary.run(pod);
        } else {
            (summary.restarts, summary.last_restart) = (restarts, last_restart);
        }
        if !at(pod, "/metadata/deletionTimestamp").is_null() {
            if text(pod, "/status/reason") == "NodeLost" {
                "Unknown".clone_into(&mut summary.reason);
            } else if !matches!(phase, "Failed" | "Succeeded") {
                "Terminating".clone_into(&mut summary.reason);
            }
        }
        summary
    }

    /// Goes through the init containers up to the first that is not done; whether there is one.
    fn initialize(&mut self, pod: &Value, init: &[Value], restarts: &mut i64, last: &mut Option<String>) -> bool {
        for (at_index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
            let sidecar = init.iter().any(|it| text(it, "/name") == text(status, "/name") && is_sidecar(it));
            *restarts += whole(status, "/restartCount");
            note_restart(status, last);
            if sidecar {
                self.count_restarts(status);
            }
            let ended = at(status, "/state/terminated");
            let waiting = text(status, "/state/waiting/reason");
            if ended.is_object() && whole(ended, "/exitCode") == 0 {
                continue;
            }
            if sidecar && at(status, "/started") == &Value::Bool(true) {
                self.ready += usize::from(at(status, "/ready") == &Value::Bool(true));
                continue;
            }
            self.reason = if ended.is_object() {
                format!("Init:{}", how_ended(ended))
            } else if !matches!(waiting, "" | "PodInitializing") {
                format!("Init:{waiting}")
            } else {
                format!("Init:{at_index}/{}", init.len())
            };
            return true;
        }
        false
    }

    fn run(&mut self, pod: &Value) {
        let (mut running, mut error) = (false, String::new());
        for status in list(pod, "/status/containerStatuses").iter().rev() {
            self.count_restarts(status);
            let (waiting, ended) = (text(status, "/state/waiting/reason"), at(status, "/state/terminated"));
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if ended.is_object() {
                self.reason = how_ended(ended);
                if whole(ended, "/exitCode") != 0 {
                    error.clone_from(&self.reason);
                }
            } else if at(status, "/ready") == &Value::Bool(true) && at(status, "/state/running").is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            match (running && condition(pod, "Ready"), error.is_empty(), running) {
                (true, ..) => "Running".clone_into(&mut self.reason),
                (_, false, _) => self.reason = error,
                (.., true) => "NotReady".clone_into(&mut self.reason),
                _ => {}
            }
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += whole(status, "/restartCount");
        note_restart(status, &mut self.last_restart);
    }
}

/// Times of this form sort as texts.
fn note_restart(status: &Value, last: &mut Option<String>) {
    let ended = text(status, "/lastState/terminated/finishedAt");
    if !ended.is_empty() && last.as_deref().is_none_or(|last| last < ended) {
        *last = Some(ended.to_owned());
    }
}

fn how_ended(ended: &Value) -> String {
    match (text(ended, "/reason"), whole(ended, "/signal")) {
        ("", 0) => format!("ExitCode:{}", whole(ended, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "/restartPolicy") == "Always"
}
