//! The same mistake, of one struct in several places, is told once.

use super::pattern::{pattern, split};
use crate::report::Reason;

/// Most places that are named.
const NAMED: usize = 3;

/// `reasons`, each with the path of the dimension that it is about. Where the same is to be written in another place, the first is
/// told, with the paths of the others.
pub(super) fn told_once(reasons: Vec<(String, Reason)>) -> Vec<Reason> {
    let mut told: Vec<(Option<String>, Reason, Vec<String>)> = Vec::new();
    for (path, reason) in reasons {
        let help = inside(&path, &reason);
        match told.iter_mut().find(|(known, ..)| help.is_some() && *known == help) {
            Some((_, _, others)) => others.push(format!("`{path}`")),
            None => told.push((help, reason, Vec::new())),
        }
    }
    told.into_iter().map(|(_, reason, others)| with(reason, &others)).collect()
}

/// What the struct around the dimension at `path` would be told if it were the whole network.
fn inside(path: &str, reason: &Reason) -> Option<String> {
    let (path, help) = (pattern(path), reason.help.as_ref()?);
    let (around, name) = split(&path);
    Some(format!("{name}: {}", help.replace(&format!("`{}.", around?), "`")))
}

fn with(reason: Reason, others: &[String]) -> Reason {
    if others.is_empty() {
        return reason;
    }
    let named = others[..others.len().min(NAMED)].join(", ");
    let more = match others.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Reason { message: format!("{}; the same is wrong with {named}{more}", reason.message), ..reason }
}
