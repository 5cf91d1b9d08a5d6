//! The rooms of `vitslim-core/src`, which are its folders and the files beside them, use one another as `docs/design.md` draws, and not
//! in a circle. Nor do any files. What a `mod.rs` exports counts as the file that defines it.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use source::{File, Source};

/// For each file the files that it uses, each with a path that leads there.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// For each room the rooms that it uses, each with what uses it.
type Rooms = BTreeMap<String, BTreeMap<String, Vec<String>>>;

static SOURCE: LazyLock<Source> =
    LazyLock::new(|| Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../vitslim-core/src")));

fn arrows() -> Arrows {
    let of = |file: &File| {
        let targets = file.paths.iter().filter_map(|path| {
            let target = SOURCE.resolve(file, path).filter(|target| target.name != file.name)?;
            Some((target.name.clone(), path.join("::")))
        });
        (file.name.clone(), targets.collect())
    };
    SOURCE.files().filter(|file| !file.is_test).map(of).collect()
}

fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

fn rooms(arrows: &Arrows) -> Rooms {
    let mut rooms = Rooms::new();
    for (file, uses) in arrows.iter().filter(|(file, _)| *file != "lib.rs") {
        let arrows = rooms.entry(room(file).to_owned()).or_default();
        for (used, path) in uses.iter().filter(|(used, _)| room(used) != room(file)) {
            arrows.entry(room(used).to_owned()).or_default().push(format!("{file}: {path}"));
        }
    }
    rooms
}

/// The rooms and their arrows in `docs/design.md`: a line for each in the block fenced as `rooms`.
fn drawn() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/design.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once("```rooms\n").expect("docs/design.md has no block of `rooms`");
    let (block, _) = after.split_once("```").unwrap();
    let line = |line: &str| {
        let (room, uses) = line.split_once(':').unwrap_or_else(|| panic!("`{line}` is not `room: others`"));
        (room.trim().to_owned(), uses.split_whitespace().map(str::to_owned).collect())
    };
    block.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

/// A circle of `arrows`, if there is one. If everything is removed that uses nothing that is left, what is left has one.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut left = arrows.clone();
    loop {
        let names: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, uses| uses.iter().any(|used| names.contains(used)));
        if left.len() == names.len() {
            break;
        }
    }
    let mut walked = vec![left.keys().next()?.clone()];
    loop {
        let next = left[walked.last()?].iter().find(|used| left.contains_key(*used))?;
        if let Some(begin) = walked.iter().position(|known| known == next) {
            return Some(walked.split_off(begin));
        }
        walked.push(next.clone());
    }
}

#[test]
fn rooms_are_as_they_are_drawn() {
    let (drawn, found) = (drawn(), rooms(&arrows()));
    let mut wrong = Vec::new();
    for (room, uses) in &found {
        let Some(drawn) = drawn.get(room) else {
            wrong.push(format!("`{room}` is not drawn"));
            continue;
        };
        for (used, paths) in uses.iter().filter(|(used, _)| !drawn.contains(*used)) {
            wrong.push(format!("no arrow is drawn from `{room}` to `{used}`:\n    {}", paths.join("\n    ")));
        }
    }
    for (room, uses) in &drawn {
        let Some(found) = found.get(room) else {
            wrong.push(format!("`{room}` is drawn, but does not exist"));
            continue;
        };
        let unused = uses.iter().filter(|used| !found.contains_key(*used));
        wrong.extend(unused.map(|used| format!("an arrow is drawn from `{room}` to `{used}`, but not used")));
    }
    assert!(wrong.is_empty(), "docs/design.md and the code differ:\n{}", wrong.join("\n"));
}

#[test]
fn no_rooms_are_in_a_circle() {
    let found = rooms(&arrows());
    let arrows = found.iter().map(|(room, uses)| (room.clone(), uses.keys().cloned().collect())).collect();
    if let Some(circle) = circle(&arrows) {
        let pairs = circle.iter().zip(circle.iter().cycle().skip(1));
        let told = pairs.map(|(from, to)| format!("{from} -> {to}:\n    {}", found[from][to].join("\n    ")));
        panic!("rooms in a circle:\n{}", told.collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn no_files_are_in_a_circle() {
    let found = arrows();
    let mut arrows: BTreeMap<String, BTreeSet<String>> =
        found.iter().map(|(from, uses)| (from.clone(), uses.keys().cloned().collect())).collect();
    let mut told = Vec::new();
    while let Some(circle) = circle(&arrows) {
        let pairs = circle.iter().zip(circle.iter().cycle().skip(1));
        let lines: Vec<_> =
            pairs.clone().map(|(from, to)| format!("{from} -> {to}: {}", found[from][to])).collect();
        told.push(lines.join("\n"));
        // Without it there may be others.
        for (from, to) in pairs {
            arrows.get_mut(from).unwrap().remove(to);
        }
    }
    assert!(told.is_empty(), "files in circles:\n{}", told.join("\n\n"));
}

/// The tests of a room use no room that uses theirs.
#[test]
fn no_test_climbs() {
    let found = rooms(&arrows());
    let below = |top: &str| {
        let (mut below, mut open) = (BTreeSet::from([top.to_owned()]), vec![top.to_owned()]);
        while let Some(next) = open.pop() {
            let uses = found.get(&next).into_iter().flat_map(|uses| uses.keys());
            open.extend(uses.filter(|used| below.insert((*used).clone())).cloned());
        }
        below
    };
    let mut wrong = Vec::new();
    for file in SOURCE.files() {
        let of_tests = file.paths.iter().filter(|_| file.is_test).chain(&file.test_paths);
        let climbs = |target: &&File| {
            room(&target.name) != room(&file.name) && below(room(&target.name)).contains(room(&file.name))
        };
        for path in of_tests.filter(|path| SOURCE.resolve(file, path).filter(climbs).is_some()) {
            wrong.push(format!("{}: {}", file.name, path.join("::")));
        }
    }
    assert!(wrong.is_empty(), "tests that use a room above their own:\n{}", wrong.join("\n"));
}
