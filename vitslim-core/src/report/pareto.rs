//! Which networks are Pareto-best.

/// What is known of a network that was measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// What tells the images that it was measured on from others.
    pub test: &'a str,
    /// What it costs: multiply-adds, or parameters.
    pub cost: f64,
    /// Its accuracy on these images.
    pub top1: f64,
}

impl Measured<'_> {
    /// Whether this is better than `other` in one of both and no worse in the other, on the same images.
    fn beats(&self, other: &Self) -> bool {
        let is_no_worse = self.cost <= other.cost && self.top1 >= other.top1;
        self.test == other.test && is_no_worse && (self.cost < other.cost || self.top1 > other.top1)
    }
}

/// Which of `networks` are Pareto-best: no other that was measured on the same images is as cheap and as accurate, and better in one of
/// both. One that was not measured, `None`, is not.
pub fn pareto(networks: &[Option<Measured<'_>>]) -> Vec<bool> {
    let is_best = |one: &Measured<'_>| !networks.iter().flatten().any(|other| other.beats(one));
    networks.iter().map(|one| one.as_ref().is_some_and(is_best)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_beaten_by_none_on_the_same_images() {
        let on = |test, cost, top1| Some(Measured { test, cost, top1 });
        let networks = [
            on("a", 1.0, 0.9),
            on("a", 2.0, 0.9),
            on("a", 2.0, 0.95),
            on("a", 3.0, 0.8),
            // Those that are alike are both the best.
            on("a", 1.0, 0.9),
            // Nothing beats one without an accuracy.
            on("a", 0.5, f64::NAN),
            on("b", 9.0, 0.1),
            None,
        ];
        assert_eq!(pareto(&networks), [true, false, true, false, true, true, true, false]);
    }
}
