//! Checks where token gates act in the recorded forward pass.

use burn::tensor::Device;
use burn_capture::CapturedGraph;
use burn_ir::{BaseOperationIr, OperationIr, SelectOpIr};

use super::pattern::pattern;
use super::subject::Subject;
use crate::data::ImageShape;
use crate::graph::{GraphError, capture};
use crate::models::Architecture;
use crate::nn::TokenGate;
use crate::report::Reason;
use crate::slim::{DimensionMapper, Scope, index_tensor};

/// A place in the forward pass where a token gate acts.
struct Acting {
    /// Index of the gate, in the order of declaration.
    gate: usize,
    /// Number of tokens that arrive there.
    arriving: usize,
}

/// What is wrong with token gates: a gate does not act, acts on another number of tokens, or acts before one that is
/// declared earlier.
pub(super) fn check_tokens<A: Architecture>(subject: &Subject<A>, image: ImageShape) -> Vec<Reason> {
    let mut mark = Mark { scope: Scope::default(), gates: Vec::new() };
    let marked = subject.model.clone().map_dimensions(&mut mark);
    let gates = mark.gates;
    if gates.is_empty() {
        return Vec::new();
    }
    let captured = match capture(&marked, image, 1) {
        Ok(captured) => captured,
        Err(GraphError::Forward(said)) => {
            let names: Vec<String> = gates.iter().map(|gate| format!("`{}`", gate.path)).collect();
            return vec![
                Reason::new(format!(
                    "with the tokens of {} selected, the forward pass fails ({said})",
                    names.join(", ")
                ))
                .with_help("is each gate made for the number of tokens that arrive at it, prefix included?"),
            ];
        }
        Err(error) => return vec![Reason::new(format!("the token gates cannot be found: {error}"))],
    };
    let acting = acting(&captured);
    let here = |number: usize| acting.iter().filter(|acting| acting.gate == number).collect::<Vec<_>>();
    let wrong: Vec<(String, &Gate, Vec<&Acting>)> = gates
        .iter()
        .enumerate()
        .map(|(number, gate)| (pattern(&gate.path), gate, here(number)))
        .filter(|(_, gate, here)| gate.wrong("", here).is_some())
        .collect();
    let mut reasons = Vec::new();
    let mut told: Vec<&String> = Vec::new();
    for (name, gate, here) in &wrong {
        // One instance of a struct with a mistake is enough.
        if told.contains(&name) {
            continue;
        }
        told.push(name);
        let others = match wrong.iter().filter(|(other, ..)| other == name).count() - 1 {
            0 => String::new(),
            others => format!(" (and {others} like it)"),
        };
        reasons.extend(gate.wrong(&others, here));
    }
    let mut told: Vec<[String; 2]> = Vec::new();
    for pair in acting.windows(2).filter(|pair| pair[0].gate > pair[1].gate) {
        let [earlier, later] = [pair[0].gate, pair[1].gate].map(|gate| &gates[gate].path);
        let names = [pattern(earlier), pattern(later)];
        if told.contains(&names) {
            continue;
        }
        told.push(names);
        reasons.push(
            Reason::new(format!(
                "the token gate `{earlier}` acts before `{later}`, which is declared before it: the second to act would look for tokens \
                 that the first has cut"
            ))
            .with_help(format!(
                "declare token gates in the order in which they act: `{earlier}` before `{later}`"
            )),
        );
    }
    reasons
}

struct Gate {
    path: String,
    tokens: usize,
}

impl Gate {
    /// What is wrong with it, and with the `others` that are told with it.
    fn wrong(&self, others: &str, acting: &[&Acting]) -> Option<Reason> {
        let Self { path, tokens } = self;
        match acting {
            [] => Some(
                Reason::new(format!(
                    "the token gate `{path}`{others} removes no tokens: the forward pass never calls its `keep`"
                ))
                .with_help("write `let x = self.tokens.keep(x);` at the start of the block"),
            ),
            [Acting { arriving, .. }] if arriving == tokens => None,
            [Acting { arriving, .. }] => Some(
                Reason::new(format!(
                    "the token gate `{path}`{others} is made for {tokens} tokens, but {arriving} arrive at it"
                ))
                .with_help(
                    "`TokenGate::new(tokens, prefix)` takes the total number of tokens, prefix included",
                ),
            ),
            more => Some(
                Reason::new(format!(
                    "the forward pass calls `keep` of the token gate `{path}`{others} {} times",
                    more.len()
                ))
                .with_help("a gate can remove tokens only once: use a separate gate for each place"),
            ),
        }
    }
}

/// Makes each gate select by an index that identifies it. Nothing is computed with it.
struct Mark {
    scope: Scope,
    gates: Vec<Gate>,
}

impl DimensionMapper for Mark {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_tokens(&mut self, dimension: &str, gate: TokenGate) -> TokenGate {
        let number = self.gates.len();
        let tokens = gate.tokens;
        self.gates.push(Gate { path: dimension.to_owned(), tokens });
        gate.sliced(index_tensor(&vec![MARK + number; tokens], &Device::flex()), None)
    }
}

/// More than the number of tokens of any network.
const MARK: usize = 1 << 24;

/// The gates in the order in which they act.
fn acting(captured: &CapturedGraph) -> Vec<Acting> {
    let selects = captured.graph.operations.iter().filter_map(|operation| match operation {
        OperationIr::BaseFloat(BaseOperationIr::Select(select)) => Some(select),
        _ => None,
    });
    let gate = |select: &SelectOpIr| {
        let indices = captured.values.get(&select.indices.id)?;
        let first = indices.iter::<i64>().next()?;
        let gate = usize::try_from(first).ok()?.checked_sub(MARK)?;
        let arriving = *select.tensor.shape.as_slice().get(select.dim)?;
        Some(Acting { gate, arriving })
    };
    selects.filter_map(gate).collect()
}
