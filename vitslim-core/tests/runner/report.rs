//! The page of a run and of a sweep.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::workspace::{self, TINY, Workspace, said};

/// What a page tells the one that it is shown in: errors of scripts, figures that draw nothing, and by how many pixels it is too wide.
const PROBE: &str = r#"<script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("load", () => {
  document.querySelector("th button")?.click();
  const draws = (figure) => {
    const marks = [...figure.querySelectorAll("svg :is(polyline, circle, rect, path, use)")];
    return marks.some((mark) => mark.getBoundingClientRect().width > 0);
  };
  const figures = [...document.querySelectorAll("figure")];
  const wider = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const empty = figures.filter((figure) => !draws(figure)).map((figure) => figure.textContent);
  parent.postMessage({ width: innerWidth, figures: figures.length, empty, wider, errors }, "*");
});
</script>"#;

/// A page that shows another on a desktop and on a phone, and has in its title what both tell. No window is as narrow as a phone.
const FRAMES: &str = r#"<script>
const told = [];
addEventListener("message", (event) => {
  told.push(event.data);
  document.title = JSON.stringify(told);
});
</script>
<iframe src="page.html" width="1280" height="900"></iframe><iframe src="page.html" width="400" height="900"></iframe>"#;

/// The program that opens pages; `None` where there is none, which a line says.
fn browser() -> Option<String> {
    let named = std::env::var("VITSLIM_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let is_there = Command::new(&named).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        // `eprintln!` would be swallowed where the test passes.
        let line = format!("skipped: there is no `{named}`; VITSLIM_CHROMIUM names another\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    is_there.then_some(named)
}

/// Opens `page` in a browser, where nothing may be wrong with it and its `figures`.
#[track_caller]
fn assert_shown(page: &Path, figures: usize) {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let html = fs::read_to_string(page).unwrap();
    let probed = html.replacen("<head>", &format!("<head>{PROBE}"), 1);
    fs::write(folder.path().join("page.html"), probed).unwrap();
    let frames = folder.path().join("frames.html");
    fs::write(&frames, FRAMES).unwrap();
    let output = Command::new(&browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", frames.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let told = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    let told = told.unwrap_or_else(|| panic!("no page is shown: {}", said(&output)));
    let mut told: Vec<Value> = serde_json::from_str(told).unwrap();
    told.sort_by_key(|told| told["width"].as_u64());
    let right =
        |width: usize| json!({ "width": width, "figures": figures, "empty": [], "wider": 0, "errors": [] });
    assert_eq!(told, [right(400), right(1280)]);
}

/// The text of a page, which loads nothing.
#[track_caller]
fn page(path: &Path) -> String {
    let html = fs::read_to_string(path).unwrap();
    for from_elsewhere in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!html.contains(from_elsewhere), "{} has `{from_elsewhere}`", path.display());
    }
    html
}

fn report(workspace: &Workspace, args: &[&str]) -> String {
    let output = workspace.vitslim(&[&["report"], args].concat());
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[test]
fn a_run_leaves_a_page_of_what_it_found() {
    let workspace = Workspace::new();
    let summary = workspace.run(&workspace.write("tiny.ron", TINY), &[]);
    let run = workspace.path("runs/tiny/seed=3");
    let path = run.join("report.html");
    let html = page(&path);
    let mut numbers = vec![format!("{:.4}", summary["dense"]["top1"].as_f64().unwrap())];
    for subnet in summary["subnets"].as_array().unwrap() {
        numbers.push(subnet["label"].as_str().unwrap().to_owned());
        for name in ["top1_sliced", "top1_retrained"] {
            numbers.push(format!("{:.4}", subnet[name].as_f64().unwrap()));
        }
        numbers.push(format!("{:.2}", subnet["speedup"].as_f64().unwrap()));
    }
    for number in &numbers {
        assert!(html.contains(number.as_str()), "{number}");
    }
    // Accuracy over three costs; heads of two sub-networks, hidden units of both, and tokens of both; masks of three dimensions; and five
    // curves. Each has its numbers.
    let figures = 3 + 2 + 1 + 2 + 3 + 5;
    assert_eq!(html.matches("<figure").count(), figures);
    assert_eq!(html.matches("numbers as CSV").count(), figures);
    assert_eq!(html.matches("<symbol").count(), 4, "images to draw tokens on");
    assert_eq!(html, {
        fs::remove_file(&path).unwrap();
        report(&workspace, &["runs/tiny/seed=3"]);
        page(&path)
    });
    assert_shown(&path, figures);
}

#[test]
fn a_page_is_made_of_what_is_there_and_names_are_no_html() {
    let workspace = Workspace::new();
    let short = TINY.replace("epochs: 2", "epochs: 1");
    let sets = [
        "--set",
        "pretrain=None",
        "--set",
        "retrain=None",
        "--set",
        "keep_at_least={\"head_dim\": Layer(2)}",
    ];
    workspace.run(&workspace.write("tiny.ron", &short), &sets);
    let run = workspace.path("runs/tiny/seed=3");
    let change = |file: &str, from: &str, to: &str| {
        let text = fs::read_to_string(run.join(file)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(run.join(file), text.replace(from, to)).unwrap();
    };
    let odd = "a<b>&\"c";
    fs::rename(run.join("subnets/share-0.1"), run.join("subnets").join(odd)).unwrap();
    change(&format!("subnets/{odd}/result.json"), "share-0.1", &odd.replace('"', "\\\""));
    fs::remove_file(run.join("summary.json")).unwrap();
    let test = workspace::json(&run.join("data.json"))["test"]["sha256"].as_str().unwrap().to_owned();
    change("data.json", &test, "another");
    fs::write(
        run.join("frontier.json"),
        r#"{"of": "Macs", "split": "test", "points": [
            {"budget": "Macs(0.2)", "label": "macs-0.2", "kept": {}, "params": 2000, "macs": 20000, "top1": 0.2},
            {"budget": "Macs(0.4)", "label": "macs-0.4", "kept": {}, "params": 4000, "macs": 40000, "top1": 0.4}]}"#,
    )
    .unwrap();
    report(&workspace, &["runs/tiny/seed=3"]);
    let html = page(&run.join("report.html"));
    assert!(html.contains("This run is stopped") && html.contains("<code>keep_at_least: {"));
    assert!(html.contains("a&lt;b&gt;&amp;&quot;c") && !html.contains("a<b>"));
    assert!(html.contains("frontier, right after slicing") && html.contains("macs-0.4"));
    assert!(html.contains("the grid is drawn alone") && !html.contains("<symbol"));
    assert_shown(&run.join("report.html"), html.matches("<figure").count());
}

#[test]
fn a_run_without_a_search_says_what_it_ranks_by_and_what_was_cut_later() {
    let workspace = Workspace::new();
    let sets = ["importance=Random", "correct=true", "pretrain=None", "retrain=None"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    workspace.run(&workspace.write("tiny.ron", TINY), &sets);
    let run = workspace.path("runs/tiny/seed=3");
    let output = workspace.vitslim(&["slim", "runs/tiny/seed=3", "--budget", "Macs(0.6)"]);
    assert!(output.status.success(), "{}", said(&output));
    let reported = || {
        report(&workspace, &["runs/tiny/seed=3"]);
        page(&run.join("report.html"))
    };
    let html = reported();
    for told in ["<code>Random</code>, without a search", "Corrected", "Dimensions that may be cut"] {
        assert!(html.contains(told), "{told}");
    }
    for of_a_search in ["<th scope=\"row\">search", "penalty weight", "Kept masks"] {
        assert!(!html.contains(of_a_search), "{of_a_search}");
    }
    assert!(html.matches("cut later").count() == 1 && !html.contains("timed on"));
    // Also as long as the run is not complete; another device than that of the run is told.
    fs::remove_file(run.join("summary.json")).unwrap();
    let result = run.join("subnets/macs-0.6/result.json");
    let text = fs::read_to_string(&result).unwrap();
    fs::write(&result, text.replacen("\"cpu", "\"another cpu", 1)).unwrap();
    let html = reported();
    assert_eq!((html.matches("cut later").count(), html.matches("timed on another cpu").count()), (1, 1));
    let row = |label: &str| html.find(&format!("<span class=\"swatch\"></span>{label}")).unwrap();
    assert!(row("macs-0.6") > row("share-0.1"));

    // A frontier on another split than all else, with sub-networks and alone.
    let point = |macs: usize| json!({ "budget": "Macs(0.2)", "label": "macs-0.2", "kept": {}, "params": macs, "macs": macs, "top1": 0.2 });
    let frontier = json!({ "of": "Macs", "split": "held_out", "points": [point(2000), point(4000)] });
    fs::write(run.join("frontier.json"), frontier.to_string()).unwrap();
    let on = "on the held_out split; the points are on the test split";
    assert_eq!(reported().matches(on).count(), 2);
    fs::remove_dir_all(run.join("subnets")).unwrap();
    let html = reported();
    assert!(html.contains("There is no complete sub-network yet") && html.matches(on).count() == 2);
    let numbers = html.split("data:text/csv;base64,").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let numbers = String::from_utf8(BASE64.decode(numbers.as_bytes()).unwrap()).unwrap();
    assert!(numbers.contains("\nmacs-0.2,frontier,held_out,2000,0.2\n"), "{numbers}");
    assert_shown(&run.join("report.html"), html.matches("<figure").count());

    fs::write(run.join("frontier.json"), "{").unwrap();
    let output = workspace.vitslim(&["report", "runs/tiny/seed=3"]);
    assert!(said(&output).contains("`vitslim frontier` makes it again"), "{}", said(&output));
}

#[test]
fn a_sweep_leaves_a_page_with_a_row_for_each_sub_network() {
    let workspace = Workspace::new();
    let short = TINY.replace("epochs: 2", "epochs: 1");
    let sweep = short.replace("\"hidden\": (weight: 1e-4)", "\"hidden\": (weight: Sweep([1e-4, 1e-2]))");
    let file = workspace.write("tiny.ron", &sweep);
    let args = ["run", file.to_str().unwrap(), "--set", "pretrain=None", "--set", "retrain=None"];
    let output = workspace.vitslim(&args);
    assert!(output.status.success(), "{}", said(&output));
    let sweep = workspace.path("runs/tiny");
    let html = page_with_script(&sweep.join("report.html"));
    let rows = |html: &str| {
        html.matches("aria-label=\"networks\"").count() * html.matches("<td class=\"n\" data-value").count()
            / 2
    };
    assert_eq!(rows(&html), 4);
    assert!(html.len() < 5_000_000 && html.matches(">numbers as CSV<").count() == 4);
    assert!(html.contains("2 complete. What differs: hidden.weight"));
    let trials: Vec<PathBuf> = fs::read_dir(&sweep)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("experiment.ron").is_file())
        .collect();
    for trial in &trials {
        let name = trial.file_name().unwrap().to_str().unwrap();
        assert!(
            trial.join("report.html").is_file()
                && html.contains(&format!("href=\"{name}&#x2f;report.html\""))
        );
    }
    // Accuracy over two costs, and parallel coordinates.
    assert_shown(&sweep.join("report.html"), 3);

    let [first, second] = [0, 1].map(|trial: usize| trials[trial].to_str().unwrap());
    let told = report(&workspace, &[first, second, "--out", "both.html"]);
    assert!(told.contains("wrote `both.html`"), "{told}");
    let both = page_with_script(&workspace.path("both.html"));
    assert_eq!(rows(&both), 4);
    assert!(both.contains("What differs: search.dimensions.hidden.weight."));
    // What has become of a trial says its folder, and no report of the time before.
    let report_file = sweep.join("sweep.json");
    let mut before = workspace::json(&report_file);
    before["trials"][0]["state"] = json!("running");
    before["trials"][0]["summary"] = Value::Null;
    fs::write(&report_file, before.to_string()).unwrap();
    report(&workspace, &["runs/tiny"]);
    assert_eq!(page_with_script(&sweep.join("report.html")), html);
    let output = workspace.vitslim(&["slim", trials[0].to_str().unwrap(), "--budget", "Macs(0.6)"]);
    assert!(output.status.success(), "{}", said(&output));
    report(&workspace, &["runs/tiny"]);
    assert_eq!(rows(&page_with_script(&sweep.join("report.html"))), 5);
}

/// That of a sweep, whose table can be sorted.
#[track_caller]
fn page_with_script(path: &Path) -> String {
    let html = page(path);
    assert_eq!(html.matches("<script>").count(), 1);
    html
}

#[test]
fn what_is_no_run_has_no_page() {
    let workspace = Workspace::new();
    for (args, expected) in [
        (vec!["runs/tiny/seed=3"], "there is no folder `runs/tiny/seed=3`"),
        (vec!["."], "`.` is not the folder of a run"),
        (vec![], "required arguments were not provided"),
    ] {
        let output = workspace.vitslim(&[&["report"], &args[..]].concat());
        assert!(!output.status.success() && said(&output).contains(expected), "{}", said(&output));
    }
}
