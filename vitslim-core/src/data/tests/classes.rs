//! Files that list the classes of a folder of images.

use super::*;

fn read(file: &str) -> Result<Dataset, DataError> {
    let files = Files::folder();
    let classes = Some(Classes::File(files.write("classes", file)));
    image_folder(&ImageFolder { classes, ..image_folder_of(&files) }, &preparation(0.25))
}

#[test]
fn the_order_of_labels_is_that_of_the_file() {
    for file in [
        "dog\ncat\n",
        "\u{feff}dog\r\n\r\n cat \r\n",
        "cat 1\ndog 0\n",
        "cat,1\ndog , 0",
        "dog\t0\ncat\t1",
        "0 dog\n1 cat",
        "1, cat\n0, dog",
        "[\"dog\", \"cat\"]",
        "{\"0\": [\"dog\", \"a dog\"], \"1\": [\"cat\", \"a cat\"]}",
        "{\"1\": \"cat\", \"0\": \"dog\"}",
        "{\"cat\": 1, \"dog\": 0}",
    ] {
        let data = read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(data.class_names, ["dog", "cat"], "{file}");
        assert_eq!([0, 2].map(|image| data.test.label(image)), [1, 0], "{file}");
        // The file is only another way to write them.
        let files = Files::folder();
        let classes = Some(Classes::Named(vec!["dog".to_owned(), "cat".to_owned()]));
        let named = image_folder(&ImageFolder { classes, ..image_folder_of(&files) }, &preparation(0.25));
        assert_eq!(named.unwrap().content(), data.content());
    }
}

#[test]
fn identifiers_of_wordnet_are_names_and_what_follows_says_what_they_mean() {
    let files = Files::new();
    for (part, image) in [("train", 0), ("train", 1), ("val", 0)] {
        for class in ["n01440764", "n01443537"] {
            files.png(&format!("{part}/{class}/{image}.png"), 8, 8, [image, 5, 0]);
        }
    }
    let mapping = "n01443537 goldfish, Carassius auratus\nn01440764 tench, Tinca tinca\n";
    let classes = Some(Classes::File(files.write("LOC_synset_mapping.txt", mapping)));
    let data = image_folder(&ImageFolder { classes, ..image_folder_of(&files) }, &preparation(0.5)).unwrap();
    assert_eq!(data.class_names, ["n01443537", "n01440764"]);
}

#[test]
fn numbers_may_be_parts_of_names() {
    let files = Files::new();
    for (part, image) in [("train", 0), ("train", 1), ("val", 0)] {
        for class in ["class 1", "class 2"] {
            files.png(&format!("{part}/{class}/{image}.png"), 8, 8, [image, 5, 0]);
        }
    }
    let classes = Some(Classes::File(files.write("classes.txt", "class 2\nclass 1\n")));
    let data = image_folder(&ImageFolder { classes, ..image_folder_of(&files) }, &preparation(0.5)).unwrap();
    assert_eq!(data.class_names, ["class 2", "class 1"]);
}

#[test]
fn each_mistake_is_told_at_the_setting() {
    #[rustfmt::skip]
    let cases = [
        ("", "classes`, which is empty"),
        (" \n\n", "classes`, which names no class"),
        ("{}", "classes`, which names no class"),
        ("<html></html>", "classes`, which is a web page, not data"),
        ("dog\ncat\ndog\n", "classes`, which names `dog` twice"),
        ("dog\ncat\ncow\n", "`classes` names `cow`, which is no folder of `"),
        ("dog\n", "`classes` does not name `"),
        ("cat 1\ndog 2\n", "classes`, which has no class of label 0: labels count from 0"),
        ("cat 0\ndog 2\n", "classes`, which has no class of label 1"),
        ("cat 0\ndog 0\n", "classes`, which gives the label 0 twice, the second time to `dog`"),
        ("1 cat\n2 dog\n", "classes`, which has no class of label 0: labels count from 0"),
        ("name,label\ncat,0\ndog,1", "classes`, which begins with `name,label`, which is unlike all other lines: leave out a heading"),
        ("label name\n0 cat\n1 dog", "classes`, which begins with `label name`, which is unlike"),
        ("id,words\nn01440764 tench\nn01443537 goldfish", "classes`, which begins with `id,words`, which is unlike"),
        ("{\"0\": \"cat\", \"1\": }", "classes`, which is no JSON: expected value at line 1 column 19"),
        ("{\"0\": \"cat\"", "classes`, which is no JSON: EOF while parsing"),
        ("{\"cat\": [1, 2]}", "classes`, which is JSON, but neither a list of names nor a map such as `{\"0\": [\"n01440764\", \"tench\"], ...}`"),
        ("{\"first\": \"cat\"}", "which is JSON, but neither"),
        ("{\"cat\": -1, \"dog\": 0}", "which is JSON, but neither"),
        ("[1, 2]", "which is JSON, but neither"),
    ];
    for (file, expected) in cases {
        let error = read(file).unwrap_err();
        assert_eq!(error.place(), ["classes"], "{file}");
        assert!(error.to_string().contains(expected), "{file}: {error}");
    }
    let files = Files::folder();
    let told = |classes| {
        let folder = ImageFolder { classes: Some(classes), ..image_folder_of(&files) };
        let error = image_folder(&folder, &preparation(0.25)).unwrap_err();
        assert_eq!(error.place(), ["classes"]);
        error.to_string()
    };
    assert_eq!(told(Classes::Named(Vec::new())), "`classes` names no class");
    let numbered = read("Boeing 707\nAirbus 320\n").unwrap_err();
    let as_list = "if the numbers are parts of the names, write a JSON list";
    assert!(numbered.advice().unwrap().contains(as_list), "{numbered}");
    assert!(told(Classes::File(files.path().join("gone"))).contains("gone`, which cannot be read"));
    assert!(told(Classes::File(files.path().to_owned())).contains("it is a folder, not a file"));
    let latin = files.write("latin", b"caf\xe9\n");
    assert!(told(Classes::File(latin)).ends_with("which is no text in UTF-8"));
    let train = files.path().join("train").display().to_string();
    assert_eq!(told(Classes::Count(3)), format!("`classes` is 3, but `{train}` has 2 folders of classes"));
    let folder = ImageFolder { classes: Some(Classes::Count(2)), ..image_folder_of(&files) };
    assert_eq!(image_folder(&folder, &preparation(0.25)).unwrap().class_names, ["cat", "dog"]);
}
