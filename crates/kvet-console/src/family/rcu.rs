//! RCU stalls (kernel/rcu/tree_stall.h, tree_exp.h, tasks.h): `INFO: rcu_preempt self-detected stall on CPU`, since 4.19 with `rcu: ` in front.

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::open::{Open, Role, Taken};
use crate::report::Kind;
use crate::text::{after, dec32, take_dec};

pub(crate) static FAMILY: Family = Family { anchors: &[" stall", "starved"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    let body = text.strip_prefix("rcu: ").unwrap_or(text).trim_start();
    let body = body.strip_prefix("INFO: ").unwrap_or(body);
    let stall = body.contains("self-detected stall on CPU")
        || body.contains("detected stalls on CPU")
        || body.ends_with("detected stalls on")
        || body.ends_with("self-detected stall on")
        || body.contains("detected expedited stalls on CPU")
        || body.contains("detected stall on CPU")
        || body.contains("detected stall, but suppressed")
        || body.contains("detected expedited stalls, but suppressed");
    let tasks = body.starts_with("rcu_tasks detected stalls")
        || (body.starts_with("rcu_tasks") && body.contains("detected stalls on tasks"));
    let starved = body.contains(" kthread starved for ") && body.starts_with("rcu");
    if !(stall && (body.starts_with("rcu") || body.starts_with("srcu"))) && !tasks && !starved {
        return None;
    }
    let mut start = Start::new(Kind::RcuStall, line, Sure::Certain);
    // `... stall on CPU { 1} (t=...)`, `... stalls on CPUs/tasks: { 1-...D } ...`, of kernels before 4.19.
    if let Some(inside) = after(body, "{").and_then(|r| r.split_once('}')) {
        for word in inside.0.split_ascii_whitespace() {
            push(&mut start.report.stalled_cpus, dec32(word));
        }
    }
    if let Some(by) = after(body, "(detected by ").and_then(dec32) {
        start.report.cpu = Some(by);
    }
    Some(start)
}

fn push(cpus: &mut Vec<u32>, cpu: Option<u32>) {
    if let Some(cpu) = cpu.filter(|c| cpus.len() < 4096 && !cpus.contains(c)) {
        cpus.push(cpu);
    }
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    let body = text.strip_prefix("rcu:").unwrap_or(text).trim_start();
    // `2-...!: (2541 ticks this GP) idle=...`, `1: (104999 ticks this GP)`.
    if let Some((cpu, rest)) = take_dec(body) {
        let mark = rest.starts_with('-') || rest.starts_with(':');
        if mark && (rest.contains("ticks this GP") || rest.contains("GPs behind")) {
            push(&mut open.report.stalled_cpus, u32::try_from(cpu).ok());
            open.detail(line);
            return Taken::Detail;
        }
    }
    if let Some(by) = body.strip_prefix("(detected by ").and_then(dec32) {
        open.report.cpu = Some(by);
        open.detail(line);
        return Taken::Detail;
    }
    if body.contains("kthread stack dump:") || body.starts_with("Stack dump where RCU GP kthread last ran") {
        open.begin_section(Role::Task, text);
        open.detail(line);
        return Taken::Detail;
    }
    if body.starts_with("Tasks blocked on level-") {
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(
        open,
        line,
        &[
            "(t=",
            "\t(t=",
            "rcu: ",
            "rcu_preempt kthread",
            "rcu_sched kthread",
            "blocking rcu_node structures",
            "All QSes seen",
            "INFO: Stall ended",
            "Unless rcu",
        ],
    )
}
