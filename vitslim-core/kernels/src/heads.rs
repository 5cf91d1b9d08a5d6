//! Which attention is computed: of which heads, and in which windows.

/// How the features of tokens `[q | k | v]` split into heads.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Features of the queries and keys of each head.
    pub qk: Vec<usize>,
    /// Features of the values of each head.
    pub v: Vec<usize>,
    /// Queries for each head of keys and values.
    pub queries: usize,
}

impl Heads {
    /// Features of a token.
    pub(crate) fn input(&self) -> usize {
        (self.queries + 1) * self.qk.iter().sum::<usize>() + self.v.iter().sum::<usize>()
    }

    /// Features of a token of the output.
    pub(crate) fn output(&self) -> usize {
        self.queries * self.v.iter().sum::<usize>()
    }
}

/// Square windows that fill a square image.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Tokens along each side of the image.
    pub side: usize,
    /// Tokens along each side of a window.
    pub size: usize,
    /// Tokens by which the windows are shifted down and to the right, wrapping around at the edges of the image.
    pub shift: usize,
}

impl Windows {
    /// The token at each place of each window.
    pub(crate) fn places(self) -> Vec<usize> {
        let Self { side, size, shift } = self;
        let line = |window: usize, place: usize| (window * size + place + shift) % side;
        let (windows, places) = ((side / size).pow(2), size * size);
        let along = side / size;
        let token = |window: usize, place: usize| {
            line(window / along, place / size) * side + line(window % along, place % size)
        };
        (0..windows).flat_map(|window| (0..places).map(move |place| token(window, place))).collect()
    }
}

/// An attention.
#[derive(Clone, Debug)]
pub struct Attention {
    /// The heads, at least one of which has values.
    pub heads: Heads,
    /// What scores are multiplied by, above 0.
    pub scale: f64,
    /// The windows that tokens attend in, if they do not attend to all of an image.
    pub windows: Option<Windows>,
}
