//! Where the parameters and the multiply-adds of a network are.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::table::{lines, plain, push, short};

/// The size of networks, layer by layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counted {
    /// The networks.
    pub networks: Vec<CountedNetwork>,
}

/// The size of a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CountedNetwork {
    /// `dense`, or the label of the sub-network.
    pub name: String,
    /// Number of parameters.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// By list element: each block with all that is in it, in the order of the network.
    pub blocks: Vec<CountedPart>,
    /// By kind of layer, the largest first.
    pub kinds: Vec<CountedPart>,
    /// Layer by layer.
    pub layers: Vec<CountedLayer>,
}

/// A part of a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CountedPart {
    /// `blocks.3`, or `Linear`.
    pub name: String,
    /// Number of parameters.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CountedLayer {
    /// Path in the network.
    pub path: String,
    /// `Linear`, `Conv2d`, `attention`.
    pub kind: String,
    /// Number of parameters.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
}

impl CountedNetwork {
    /// The network called `name`, of these `layers`.
    pub fn new(name: String, layers: Vec<CountedLayer>) -> Self {
        let mut blocks: Vec<CountedPart> = Vec::new();
        let mut kinds: Vec<CountedPart> = Vec::new();
        for layer in &layers {
            add(&mut blocks, block(&layer.path), layer);
            add(&mut kinds, &layer.kind, layer);
        }
        kinds.sort_by_key(|kind| std::cmp::Reverse((kind.macs, kind.params)));
        let params = layers.iter().map(|layer| layer.params).sum();
        let macs = layers.iter().map(|layer| layer.macs).sum();
        Self { name, params, macs, blocks, kinds, layers }
    }

    fn table(&self, by_layer: bool) -> String {
        let mut table = plain();
        table.set_header(["", "params", "", "MACs", ""]);
        let mut row = |name: String, params: u64, macs: u64| {
            let cells =
                [name, short(params), percent(params, self.params), short(macs), percent(macs, self.macs)];
            table.add_row(cells);
        };
        row(self.name.clone(), self.params, self.macs);
        match by_layer {
            true => self.layers.iter().for_each(|layer| {
                row(format!("  {} ({})", layer.path, layer.kind), layer.params, layer.macs);
            }),
            false => {
                let parts = self.blocks.iter().map(|part| ("", part));
                for (by, part) in parts.chain(self.kinds.iter().map(|kind| ("all ", kind))) {
                    row(format!("  {by}{}", part.name), part.params, part.macs);
                }
            }
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        lines(&mut table)
    }
}

impl Counted {
    /// A table of blocks and kinds of layers; or of all layers.
    pub fn table(&self, by_layer: bool) -> String {
        let tables: Vec<String> = self.networks.iter().map(|network| network.table(by_layer)).collect();
        let mut text = tables.join("\n") + "\n";
        push(
            &mut text,
            "MACs for one image: of matrix products, convolutions and attention; a bias, a norm or an activation has none",
        );
        text
    }
}

/// The innermost list element around `path`, or its first part.
fn block(path: &str) -> &str {
    let mut ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
    let is_element =
        |end: &usize| path[..*end].rsplit('.').next().is_some_and(|part| part.parse::<usize>().is_ok());
    match ends.rfind(is_element) {
        Some(end) => &path[..end],
        None => path.split('.').next().unwrap_or(path),
    }
}

fn add(parts: &mut Vec<CountedPart>, name: &str, layer: &CountedLayer) {
    match parts.iter_mut().find(|part| part.name == name) {
        Some(part) => (part.params, part.macs) = (part.params + layer.params, part.macs + layer.macs),
        None => parts.push(CountedPart { name: name.to_owned(), params: layer.params, macs: layer.macs }),
    }
}

fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => format!("{:.1} %", 100.0 * part as f64 / whole as f64),
    }
}
