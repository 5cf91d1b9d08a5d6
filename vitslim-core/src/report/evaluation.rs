//! The accuracy of a network, as a table and as JSON.

use comfy_table::{CellAlignment, ColumnConstraint, Width};
use serde::Serialize;

use super::table::{fraction, lines, plain};
use crate::terminal::counted;

/// Columns for the name of a class; a longer one is broken.
const CLASS_WIDTH: u16 = 56;

/// The accuracies of a network, as fractions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Name of the experiment.
    pub name: String,
    /// Name of the trial.
    pub trial: String,
    /// `dense`, or the label of the sub-network.
    pub network: String,
    /// Epochs of pretraining of the dense network; `None` for a sub-network, and without pretraining.
    pub epoch: Option<usize>,
    /// The device.
    pub device: String,
    /// The split: `test` or `held_out`.
    pub split: &'static str,
    /// Number of images.
    pub images: usize,
    /// Fraction of the images whose largest logit is that of their label.
    pub top1: f64,
    /// Fraction of the images whose label is among the five largest logits; `None` with five classes or fewer.
    pub top5: Option<f64>,
    /// The classes, in the order of their labels.
    pub classes: Vec<ClassEvaluation>,
}

/// The accuracy on the images of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassEvaluation {
    /// Its name.
    pub name: String,
    /// Number of images.
    pub images: usize,
    /// Fraction of the images whose largest logit is that of their label; `None` without images.
    pub top1: Option<f64>,
}

impl Evaluation {
    /// One line for all images and one for each class, in at most 80 columns.
    pub fn table(&self) -> String {
        let mut table = plain();
        table.set_header(["class", "images", "top-1", "top-5"]);
        let all = [fraction(Some(self.top1)), fraction(self.top5)];
        table.add_row([&["all".to_owned(), self.images.to_string()], &all[..]].concat());
        for class in &self.classes {
            table.add_row([
                class.name.clone(),
                class.images.to_string(),
                fraction(class.top1),
                String::new(),
            ]);
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            match index {
                0 => {
                    column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(CLASS_WIDTH)));
                }
                _ => {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let Self { name, trial, network, split, device, .. } = self;
        let few = match self.top5 {
            None => {
                format!("; {} too few for a top-5", counted(self.classes.len(), "class is", "classes are"))
            }
            Some(_) => String::new(),
        };
        format!("{}\n{network} of {name}, {trial}: the {split} split, on {device}{few}\n", lines(&mut table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(top5: Option<f64>) -> Evaluation {
        let class = |name: &str, images, top1| ClassEvaluation { name: name.to_owned(), images, top1 };
        Evaluation {
            name: "digits".to_owned(),
            trial: "seed=1".to_owned(),
            network: "share-0.5".to_owned(),
            epoch: None,
            device: "cpu, 2 threads, f32".to_owned(),
            split: "test",
            images: 3,
            top1: 2.0 / 3.0,
            top5,
            classes: vec![class("a", 3, Some(2.0 / 3.0)), class(&"b".repeat(200), 0, None)],
        }
    }

    #[test]
    fn a_table_has_all_images_and_each_class_in_80_columns() {
        let table = evaluation(Some(1.0)).table();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        let words = |start: &str| {
            let line = table.lines().find(|line| line.starts_with(start)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(words("all"), ["all", "3", "0.6667", "1.0000"]);
        assert_eq!(words("a "), ["a", "3", "0.6667"]);
        assert_eq!(words("b")[1..], ["0", "-"]);
        assert_eq!(table.matches('b').count(), 200 + "share-0.5 of digits".matches('b').count());
    }

    #[test]
    fn few_classes_have_no_top_5() {
        let table = evaluation(None).table();
        assert!(table.contains("2 classes are too few for a top-5"), "{table}");
    }
}
