use super::*;

/// A folder with training, validation and test images.
fn three_splits() -> Files {
    let files = Files::folder();
    for class in ["cat", "dog"] {
        files.png(&format!("test/{class}/0.png"), 8, 8, [1, 2, 3]);
    }
    files
}

fn content(folder: &ImageFolder) -> DataContent {
    image_folder(folder, &preparation(0.25)).unwrap().content().clone()
}

#[test]
fn the_same_files_elsewhere_are_the_same_content_and_images_encoded_anew_are_not() {
    let files = three_splits();
    let known = content(&image_folder_of(&files));
    assert_eq!(known.classes, ["cat", "dog"]);
    assert_eq!([known.train.images, known.held_out.images, known.test.images], [8, 4, 2]);
    // Another folder, another time, another order of writing.
    let elsewhere = Files::new();
    let mut paths: Vec<_> = walkdir::WalkDir::new(files.path())
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .collect();
    paths.reverse();
    for path in paths {
        let to = elsewhere.path().join(path.strip_prefix(files.path()).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(&to, std::fs::read(&path).unwrap()).unwrap();
    }
    assert_eq!(content(&image_folder_of(&elsewhere)), known);
    // The same pixels, as any decoder reads them.
    let image = elsewhere.path().join("test/cat/0.png");
    image::open(&image).unwrap().to_rgba8().save(&image).unwrap();
    let anew = content(&image_folder_of(&elsewhere));
    assert_eq!((&anew.train, &anew.held_out), (&known.train, &known.held_out));
    assert_ne!(anew.test, known.test);
}

#[test]
fn a_pixel_or_a_name_of_a_class_changes_the_content_of_its_split_alone() {
    let known = content(&image_folder_of(&three_splits()));
    let changed = |name: &str, color: [u8; 3]| {
        let files = three_splits();
        files.png(name, 8, 8, color);
        let content = content(&image_folder_of(&files));
        [&content.train, &content.held_out, &content.test]
            .into_iter()
            .zip([&known.train, &known.held_out, &known.test])
            .map(|(now, before)| now != before)
            .collect::<Vec<_>>()
    };
    assert_eq!(changed("train/cat/0.png", [0, 5, 1]), [true, false, false]);
    assert_eq!(changed("val/dog/1.png", [0, 5, 1]), [false, true, false]);
    assert_eq!(changed("test/cat/0.png", [0, 5, 1]), [false, false, true]);

    let files = three_splits();
    for part in ["train", "val", "test"] {
        let at = |name: &str| files.path().join(part).join(name);
        std::fs::rename(at("dog"), at("fox")).unwrap();
    }
    let renamed = content(&image_folder_of(&files));
    assert_ne!(renamed.train.sha256, known.train.sha256);
    let told = known.change(&renamed, &[]).unwrap();
    assert_eq!(told, "class 1 was `dog`, is now `fox`");
}

#[test]
fn a_split_that_is_drawn_has_the_content_of_what_it_is_drawn_from_whatever_the_seed() {
    let files = Files::idx();
    let content = |seed| {
        let preparation = Preparation { seed, ..preparation(0.25) };
        idx(files.path(), 2, &preparation).unwrap().content().clone()
    };
    let known = content(1);
    assert_eq!([known.train.images, known.held_out.images, known.test.images], [30, 10, 10]);
    assert_eq!(known.train.sha256, known.held_out.sha256);
    assert_ne!(known.train.sha256, known.test.sha256);
    assert_eq!(content(2), known);
    let mut labels = idx_labels(40);
    labels[8] ^= 1;
    files.write("train-labels-idx1-ubyte", labels);
    assert_ne!(content(1).train.sha256, known.train.sha256);
}

#[test]
fn the_order_of_classes_can_be_given_and_then_a_split_may_lack_one() {
    let files = three_splits();
    std::fs::remove_dir_all(files.path().join("val/cat")).unwrap();
    let read = |classes: &[&str]| {
        let classes = Some(Classes::Named(classes.iter().map(|class| (*class).to_owned()).collect()));
        image_folder(&ImageFolder { classes, ..image_folder_of(&files) }, &preparation(0.25))
    };
    let data = read(&["dog", "cat"]).unwrap();
    assert_eq!(data.class_names, ["dog", "cat"]);
    let labels = |split: &Split| (0..split.len()).map(|index| split.label(index)).collect::<Vec<_>>();
    assert_eq!(labels(&data.train), [1, 1, 1, 1, 0, 0, 0, 0]);
    assert_eq!((labels(&data.held_out), labels(&data.test)), (vec![0, 0], vec![1, 0]));

    let refused = |classes: &[&str]| {
        let error = read(classes).unwrap_err();
        assert_eq!(error.place(), ["classes"]);
        error.to_string()
    };
    let train = files.path().join("train").display().to_string();
    assert_eq!(refused(&["cat"]), format!("`classes` does not name `{train}/dog`"));
    assert_eq!(
        refused(&["cat", "dog", "fox"]),
        format!("`classes` names `fox`, which is no folder of `{train}`")
    );
    assert_eq!(refused(&["cat", "dog", "cat"]), "`classes` names `cat` twice");
    let unnamed = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap_err();
    assert!(unnamed.to_string().contains("has no class `cat`"), "{unnamed}");
    files.png("test/fox/0.png", 8, 8, [1, 2, 3]);
    assert!(refused(&["cat", "dog"]).ends_with("test/fox`"));
}
