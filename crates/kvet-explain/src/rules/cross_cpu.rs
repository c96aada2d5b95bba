//! A CPU that waits for another one: soft lockups and stalls in `smp_call_function_many_cond`, `text_poke_bp_batch`,
//! `csd_lock_wait`. The CPU that is reported is the victim; the one that does not answer is the cause.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, machine, x86};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if !matches!(report.kind, Kind::SoftLockup | Kind::HardLockup | Kind::RcuStall) {
        return None;
    }
    let names = || case.frames().map(|frame| frame.function.as_str());
    let waiting = names().find(|f| {
        f.starts_with("smp_call_function")
            || f.starts_with("csd_lock_wait")
            || f.starts_with("generic_exec_single")
    })?;
    let mut evidence = vec![
        case.shows(format!("the CPU waits in {waiting} until the others have answered its call"), waiting),
    ];
    let patching = names().any(|f| f.starts_with("text_poke") || f.starts_with("smp_text_poke"));
    let key = patching.then(|| patched_key(case, &mut evidence)).flatten();
    let silent = silent_cpu(case, &mut evidence);
    let who = silent.map_or_else(|| "another CPU".to_owned(), |cpu| format!("CPU {cpu}"));
    let machine = machine::machine(case);
    let emulated = machine.qemu && machine.tcg == Some(true);
    let summary = match (&key, patching) {
        (Some(key), _) => format!(
            "{who} did not answer while the sites of {key} were being patched (text_poke_bp_batch): this CPU is the victim, {who} the suspect."
        ),
        (None, true) => format!(
            "{who} did not answer while text was being patched (text_poke_bp_batch): this CPU is the victim, {who} the suspect."
        ),
        (None, false) => format!(
            "{who} did not answer a cross-CPU call from {}: this CPU is the victim, {who} the suspect.",
            case.in_function()
        ),
    };
    let mut advice = vec![format!(
        "look at what {who} was doing: its NMI backtrace in this log, `info registers -a` or inject-nmi of QEMU, or `kvet inspect` of the guest's memory"
    )];
    if patching && machine.qemu {
        advice.push("a translated CPU may execute a stale int3 for ever while text is patched: look for asm_exc_int3 in its backtrace; QEMU 8.1 or newer, or `-accel tcg,thread=single`, would not".to_owned());
    }
    if machine.qemu {
        advice.push("a host that is overloaded stops virtual CPUs for seconds: compare with an idle host before blaming the kernel".to_owned());
    }
    if key.is_none() && patching {
        advice.push("give the kernel with --kernel to learn which static key was being switched".to_owned());
    }
    if emulated || machine.qemu {
        evidence.extend(machine.evidence);
    }
    Some(Diagnosis {
        cause: if patching { "patching-waits-for-cpu" } else { "waits-for-cpu" },
        summary,
        confidence: if silent.is_some() { Confidence::Likely } else { Confidence::Possible },
        evidence,
        advice,
    })
}

/// Which key: the function that switches it, and by the image's code the key itself.
fn patched_key(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Option<String> {
    let frames: Vec<_> = case.report.frames.iter().filter(|frame| frame.reliable).collect();
    let switching = |f: &str| {
        f.starts_with("static_key_")
            || f.starts_with("__static_key_")
            || f.starts_with("static_call_")
            || f.starts_with("__static_call_")
    };
    let last = frames.iter().rposition(|frame| switching(&frame.function))?;
    let caller = frames.get(last + 1)?;
    evidence.push(case.shows(
        format!("{} was called by {}: that is who switches the key", frames[last].function, caller.function),
        &format!("{}+", caller.function),
    ));
    let from_image = || {
        let kernel = case.kernel?;
        machine::starts(kernel, &caller.function, caller.size)
            .find_map(|start| key_argument(kernel, start.0, caller.offset))
    };
    match from_image() {
        Some(name) => {
            evidence.push(fact(format!(
                "in the image, {} passes the static key {name} at {:#x}",
                caller.function, caller.offset
            )));
            Some(format!("the static key {name} ({})", caller.function))
        }
        None => Some(format!("the static key that {} switches", caller.function)),
    }
}

/// The last `mov $key,%rdi` before a call's return address.
fn key_argument(kernel: &kvet_tables::Context<'_>, start: u64, returns: u64) -> Option<String> {
    const MAX: u64 = 0x4000;
    let len = usize::try_from(returns).ok().filter(|_| returns <= MAX)?;
    let bytes = kernel.image.bytes(kvet_image::VirtAddr(start), len)?;
    let mut at = 0;
    let mut key = None;
    while at < bytes.len() {
        let instruction = x86::decode(&bytes[at..], start.wrapping_add(at as u64))?;
        if instruction.op0_kind() == iced_x86::OpKind::Register
            && instruction.op0_register().full_register() == iced_x86::Register::RDI
        {
            key = match instruction.mnemonic() {
                iced_x86::Mnemonic::Mov if instruction.op1_kind() == iced_x86::OpKind::Immediate32to64 => {
                    Some(instruction.immediate32to64().cast_unsigned())
                }
                iced_x86::Mnemonic::Lea if instruction.is_ip_rel_memory_operand() => {
                    Some(instruction.ip_rel_memory_address())
                }
                _ => None,
            };
        }
        at += instruction.len();
    }
    let (symbol, offset) = kernel.image.symbol_at(kvet_image::VirtAddr(key?))?;
    (offset == 0).then(|| symbol.name.to_owned())
}

/// The CPU that does not answer: by the register that indexes its data, by RCU's complaint, by the NMI sent to it.
fn silent_cpu(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Option<u64> {
    let report = case.report;
    let waits_here = report.ip.as_ref().is_some_and(|ip| ip.function.starts_with("smp_call_function_many"));
    let code = report.code.as_ref().filter(|code| code.unit == 1 && waits_here);
    if let Some(register) = code.and_then(|code| x86::per_cpu_index(&code.bytes))
        && let Some(cpu) = case.register(register).filter(|cpu| *cpu < 8192)
    {
        let name = register.to_uppercase();
        evidence.push(case.shows(
            format!(
                "Code: indexes __per_cpu_offset with {name}, which holds {cpu}: the CPU that is waited for"
            ),
            &format!("{name}:"),
        ));
        return Some(cpu);
    }
    let mut told = None;
    if let Some(found) = case.quote("Sending NMI from CPU").or_else(|| case.quote("->cpu=")) {
        let cpu =
            super::number_after(&found.1, "to CPUs ").or_else(|| super::number_after(&found.1, "->cpu="));
        if let Some(cpu) = cpu {
            evidence.push(line(
                format!("CPU {cpu} is asked for its backtrace, since it does not come on"),
                found,
            ));
            told = Some(cpu);
        }
    }
    told
}
