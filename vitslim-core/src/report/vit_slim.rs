//! The size of networks as ViT-Slim counts it.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::table::{lines, plain, push, short};

/// The size of networks, by the formulas of ViT-Slim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VitSlimCounted {
    /// `vit-slim`.
    pub convention: &'static str,
    /// The networks.
    pub networks: Vec<VitSlimNetwork>,
}

/// The size of a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VitSlimNetwork {
    /// `dense`, or the label of the sub-network.
    pub name: String,
    /// Number of parameters.
    pub params: u64,
    /// Operations for one image.
    pub flops: u64,
    /// Part by part.
    pub parts: Vec<VitSlimPart>,
}

/// A part of a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VitSlimPart {
    /// `patch_embed`, `blocks.0` and so on, `head`.
    pub name: String,
    /// Operations for one image.
    pub flops: u64,
}

impl VitSlimCounted {
    /// The networks `networks`.
    pub fn new(networks: Vec<VitSlimNetwork>) -> Self {
        Self { convention: "vit-slim", networks }
    }

    /// A line for each network, and below it, if `by_part`, one for each of its parts.
    pub fn table(&self, by_part: bool) -> String {
        let mut table = plain();
        table.set_header(["", "params", "flops"]);
        for network in &self.networks {
            table.add_row([network.name.clone(), short(network.params), short(network.flops)]);
            for part in network.parts.iter().filter(|_| by_part) {
                table.add_row([format!("  {}", part.name), String::new(), short(part.flops)]);
            }
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = lines(&mut table) + "\n";
        push(
            &mut text,
            "flops for one image, as ViT-Slim counts them: a multiply-add as one, with biases, softmax and the norms of the blocks",
        );
        text
    }
}
