use sha2::{Digest, Sha256};

use super::super::augment::Raster;
use super::super::crop::Crop;
use super::*;

fn labels(part: &Split) -> Vec<usize> {
    (0..part.len()).map(|index| part.label(index)).collect()
}

#[test]
fn train_is_shared_out_and_val_is_to_test() {
    let files = Files::folder();
    let data = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap();
    assert_eq!(data.class_names, ["cat", "dog"]);
    assert_eq!(data.shape, ImageShape { channels: 3, size: 8 });
    assert_eq!([labels(&data.train), labels(&data.held_out)], [vec![0, 0, 0, 1, 1, 1], vec![0, 1]]);
    assert_eq!(labels(&data.test), [0, 0, 1, 1]);
    let last = pixels(&data, &data.test, 3);
    assert_eq!([last[0], last[64], last[128]], [10, 5, 255]);
    // Green is the same everywhere.
    assert_eq!(data.normalisation.std[1], 1.0);
    assert!(data.notes.is_empty(), "{:?}", data.notes);
}

#[test]
fn val_is_held_out_where_there_is_test_too() {
    let files = Files::folder();
    for class in ["cat", "dog"] {
        files.png(&format!("test/{class}/0.png"), 8, 8, [1, 2, 3]);
    }
    let lens = |held_out| {
        let folder = ImageFolder { held_out, ..image_folder_of(&files) };
        let data = image_folder(&folder, &preparation(0.25)).unwrap();
        ([data.train.len(), data.held_out.len(), data.test.len()], data.notes)
    };
    assert_eq!(lens(HeldOutFrom::ValOrShare), ([8, 4, 2], vec![]));
    let ignored = "`test` is ignored: with `held_out`, the validation split is drawn from `train`, and `val` is the test split";
    assert_eq!(lens(HeldOutFrom::Share), ([6, 2, 4], vec![ignored.to_owned()]));
    std::fs::remove_dir_all(files.path().join("val")).unwrap();
    assert_eq!(lens(HeldOutFrom::ValOrShare), ([6, 2, 2], vec![]));
}

#[test]
fn the_shorter_side_is_resized_and_the_middle_cut_out() {
    let files = Files::folder();
    let wide = RgbImage::from_fn(12, 8, |x, _| image::Rgb([20 * x as u8, 0, 0]));
    wide.save(files.path().join("val/cat/0.png")).unwrap();
    // A square in the middle, twice as large as what is seen.
    let tall =
        RgbImage::from_fn(16, 48, |_, y| image::Rgb([if (16..32).contains(&y) { 200 } else { 0 }, 0, 0]));
    tall.save(files.path().join("val/cat/1.png")).unwrap();
    let data = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap();
    assert_eq!(pixels(&data, &data.test, 0)[..8], [40, 60, 80, 100, 120, 140, 160, 180]);
    let tall = pixels(&data, &data.test, 1);
    assert!(tall[16..48].iter().all(|&red| red == 200), "{:?}", &tall[..64]);

    let larger = ImageFolder { resize: 16, ..image_folder_of(&files) };
    let data = image_folder(&larger, &preparation(0.25)).unwrap();
    assert_eq!(pixels(&data, &data.test, 1)[..64], [200; 64]);
}

#[test]
fn names_hidden_files_and_extensions() {
    let files = Files::folder();
    for name in ["a.JPEG", "b.Jpg", "c.jpe", "d.jfif", "e.PNG", "f.webp", "deep/er/g.png"] {
        // Content decides about the format: all of them are PNGs.
        files.png(&format!("train/cat/{name}"), 8, 8, [9, 9, 9]);
    }
    files.png("train/.ipynb_checkpoints/x.png", 8, 8, [0; 3]);
    files.png("train/.git/x.png", 8, 8, [0; 3]);
    files.png("train/__MACOSX/x.png", 8, 8, [0; 3]);
    files.png("train/loose.png", 8, 8, [0; 3]);
    for name in ["._cat.jpg", ".DS_Store", "Thumbs.db", "README.txt", "notes", "a.TIFF", "b.gif", "c.bmp"] {
        files.write(&format!("train/cat/{name}"), "x");
    }
    files.write("train/.DS_Store", "x");
    let data = image_folder(&image_folder_of(&files), &preparation(0.2)).unwrap();
    assert_eq!(data.class_names, ["cat", "dog"]);
    assert_eq!(data.train.len() + data.held_out.len(), 15);
    let expected = format!(
        "`{}`: left out 7 hidden files or folders (.DS_Store, .git, .ipynb_checkpoints, __MACOSX, cat/.DS_Store and 2 more), \
         2 files that are no images (cat/README.txt, cat/notes), 3 images that are no JPEG, PNG or WebP (cat/a.TIFF, cat/b.gif, \
         cat/c.bmp), 1 image in no class (loose.png)",
        files.path().join("train").display()
    );
    assert_eq!(data.notes, [expected]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_circles_are_told() {
    use std::os::unix::fs::symlink;

    let files = Files::folder();
    let at = |name: &str| files.path().join(name);
    for part in ["train", "val"] {
        symlink(at("val/cat"), at(&format!("{part}/link"))).unwrap();
    }
    symlink(at("val/dog/0.png"), at("train/dog/link.png")).unwrap();
    symlink(at("nowhere"), at("train/nowhere")).unwrap();
    symlink(at("train/cat"), at("train/cat/itself")).unwrap();
    symlink(at("train"), at("train/dog/up")).unwrap();
    symlink(at(""), at("train/further_up")).unwrap();
    let data = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap();
    assert_eq!(data.class_names, ["cat", "dog", "link"]);
    assert_eq!(data.train.len() + data.held_out.len(), 4 + 5 + 2);
    let expected = "1 link to nothing (nowhere), 3 links in a circle (cat/itself, dog/up, further_up)";
    assert!(data.notes.len() == 1 && data.notes[0].ends_with(expected), "{:?}", data.notes);

    symlink(at("nowhere.png"), at("train/cat/gone.png")).unwrap();
    let told = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap_err().to_string();
    assert!(told.contains("train/cat/gone.png` cannot be read: No such file"), "{told}");
}

#[test]
fn unreadable_images_are_named_counted_and_skipped_up_to_the_limit() {
    let files = Files::folder();
    files.write("train/cat/broken.png", "no image");
    files.write("train/dog/empty.jpg", "");
    let folder = |skip_at_most| ImageFolder { skip_at_most, reading: anew(), ..image_folder_of(&files) };
    let error = image_folder(&folder(1), &preparation(0.25)).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains(
            "train/cat/broken.png` is no JPEG, PNG or WebP image; 1 more image cannot be read either: `"
        ),
        "{told}"
    );
    assert!(told.contains("train/dog/empty.jpg` is empty"), "{told}");
    assert_eq!(told.matches("broken.png").count(), 1, "{told}");
    assert!(error.advice().unwrap().contains("`skip_at_most: 2` (it is 1)"));

    let data = image_folder(&folder(2), &preparation(0.25)).unwrap();
    assert_eq!([data.train.len() + data.held_out.len(), data.test.len()], [10, 4]);
    assert!(
        data.notes[0].starts_with("images that cannot be read and are left out: 2 ("),
        "{:?}",
        data.notes
    );
}

#[test]
fn the_normalisation_of_a_folder_is_that_of_its_training_part() {
    let files = Files::folder();
    let data = image_folder(&image_folder_of(&files), &preparation(0.25)).unwrap();
    let mean = |channel: usize| {
        let pixels =
            (0..6).flat_map(|index| pixels(&data, &data.train, index)[64 * channel..][..64].to_vec());
        pixels.map(f32::from).sum::<f32>() / (6.0 * 64.0 * 255.0)
    };
    assert_eq!(data.normalisation.images, 6);
    for channel in 0..3 {
        assert!((data.normalisation.mean[channel] - mean(channel)).abs() < 1e-5);
    }
}

/// torchvision rounds half of what is over to the even number: 1.5 pixels to 2, and 0.5 to 0.
#[test]
fn the_centre_crop_is_that_of_torchvision() {
    let files = Files::folder();
    let image = RgbImage::from_fn(5, 5, |x, y| image::Rgb([10 * x as u8, 10 * y as u8, 0]));
    image.save(files.path().join("val/cat/0.png")).unwrap();
    let seen = |image_size| {
        let folder = ImageFolder { image_size, resize: 5, ..image_folder_of(&files) };
        let data = image_folder(&folder, &preparation(0.25)).unwrap();
        let pixels = pixels(&data, &data.test, 0);
        let (area, size) = (image_size * image_size, image_size);
        (pixels[..size].to_vec(), pixels[area..2 * area].iter().copied().step_by(size).collect::<Vec<_>>())
    };
    assert_eq!(seen(2), (vec![20, 30], vec![20, 30]));
    assert_eq!(seen(3), (vec![10, 20, 30], vec![10, 20, 30]));
    assert_eq!(seen(4), (vec![0, 10, 20, 30], vec![0, 10, 20, 30]));
}

/// What `CenterCrop(size)(Resize(resize, BICUBIC)(image))` of torchvision 0.29.2 with Pillow 13.0.0 makes of an image whose pixels in
/// row `y`, column `x` and channel `c` are `(7 x + 13 y + 50 c + x y + 31 (x // 3) (y // 5)) % 256`.
#[test]
fn a_resized_image_has_the_pixels_of_pillow() {
    for (width, height, resize, size, first, digest) in [
        (37, 23, 16, 8, [91, 115, 161, 193], "02f7d3273ce05686"),
        (23, 37, 19, 16, [171, 210, 213, 2], "ee4b1fbf7686fa3f"),
        // Enlarged.
        (5, 9, 12, 9, [34, 39, 42, 46], "0637ebe05b7acb58"),
        // An odd number of columns is over.
        (50, 31, 17, 12, [194, 225, 153, 77], "c7b9c69d25420983"),
        (640, 427, 256, 224, [135, 124, 140, 129], "08b6ddec32adfbeb"),
        (300, 200, 32, 32, [121, 135, 129, 128], "1ba0407908c67540"),
    ] {
        let pixel = |at: usize| {
            let (c, y, x) = (at / (width * height), at / width % height, at % width);
            (7 * x + 13 * y + 50 * c + x * y + 31 * (x / 3) * (y / 5)) as u8
        };
        let pixels: Vec<u8> = (0..3 * width * height).map(pixel).collect();
        let image = Raster::of_planes(height, width, &pixels);
        let mut values = vec![0; 3 * size * size];
        Crop { resize, size }.apply(&image, &mut values);
        assert_eq!(values[..4], first, "{width} x {height}");
        let found = format!("{:x}", Sha256::digest(&values));
        assert_eq!(found[..16], *digest, "{width} x {height}");
    }
}

#[test]
fn all_that_cannot_be_read_is_named_if_asked_for() {
    let files = Files::folder();
    for image in 0..9 {
        files.write(&format!("train/cat/broken{image}.png"), "");
        files.write(&format!("train/cat/notes{image}.txt"), "");
    }
    let told = |named| {
        let folder = ImageFolder { named, reading: anew(), ..image_folder_of(&files) };
        image_folder(&folder, &preparation(0.25)).unwrap_err().to_string()
    };
    let few = told(2);
    assert_eq!(few.matches("broken").count(), 3, "{few}");
    let more = "; 8 more images cannot be read either: `";
    assert!(
        few.contains(more) && few.ends_with("and 6 more, which `vitslim check --images --all` names"),
        "{few}"
    );
    let all = told(usize::MAX);
    assert!(all.matches("broken").count() == 9 && !all.contains("--all"), "{all}");
    let folder =
        ImageFolder { named: usize::MAX, skip_at_most: 9, reading: anew(), ..image_folder_of(&files) };
    let notes = image_folder(&folder, &preparation(0.25)).unwrap().notes;
    assert_eq!(notes.iter().map(|note| note.matches("notes").count()).sum::<usize>(), 9, "{notes:?}");
}

/// The terminal obeys some characters, and nobody sees others.
#[cfg(unix)]
#[test]
fn names_with_control_characters_are_shown_as_code_points() {
    let files = Files::folder();
    files.write("train/cat/\u{1b}[2Ja\nb\u{202e}.png", "");
    files.write("train/cat/\u{1b}]0;x\u{7}.txt", "");
    let folder = ImageFolder { reading: anew(), ..image_folder_of(&files) };
    let told = image_folder(&folder, &preparation(0.25)).unwrap_err().to_string();
    assert!(told.contains("train/cat/\\u{1b}[2Ja\\nb\\u{202e}.png` is empty"), "{told}");
    let folder = ImageFolder { skip_at_most: 1, ..image_folder_of(&files) };
    let notes = image_folder(&folder, &preparation(0.25)).unwrap().notes.join("; ");
    assert!(notes.contains("(cat/\\u{1b}]0;x\\u{7}.txt)"), "{notes}");
    assert!(!notes.contains(char::is_control), "{notes:?}");
}

#[test]
fn a_file_may_say_the_classes_of_images_that_lie_in_no_folders() {
    let files = Files::folder();
    std::fs::remove_dir_all(files.path().join("val")).unwrap();
    for (name, red) in [("a_1", 10), ("a_2", 20), ("b_1", 30)] {
        files.png(&format!("val/{name}.png"), 8, 8, [red, 2, 3]);
    }
    let read = |text: &str| {
        let labels = Some(files.write("labels.csv", text));
        image_folder(&ImageFolder { labels, ..image_folder_of(&files) }, &preparation(0.25))
    };
    for text in [
        "a_1,dog\na_2,cat\nb_1,dog\n",
        "ImageId,PredictionString\na_2,cat 85 1 499 272 \nb_1,dog 0 0 1 1\na_1,dog 3 4 5 6\nb_2,cat",
        "val/a_1.png dog\r\nval/a_2.png\tcat\n\nval/b_1.png dog",
        "\u{feff}a_1,dog\na_2,cat\nb_1 , dog 7\n",
    ] {
        let data = read(text).unwrap();
        assert_eq!((labels(&data.test), pixels(&data, &data.test, 1)[0]), (vec![1, 0, 1], 20), "{text}");
        assert!(data.notes.is_empty(), "{:?}", data.notes);
        // Another class is another content.
        let other = read(&text.replace("a_2,cat", "a_2,dog").replace("png\tcat", "png\tdog")).unwrap();
        assert_ne!(other.content().test, data.content().test);
    }
    for (text, expected) in [
        ("a_1,dog\na_2,cat\n", "labels.csv`, which has no line for `"),
        (
            "a_1,dog\na_2,cow\nb_1,dog\n",
            "labels.csv`, which says `cow` in line 2, which is none of the 2 classes",
        ),
        (
            "a_1,cow\na_2,cat\nb_1,dog\n",
            "labels.csv`, which says `cow` in line 1, which is none of the 2 classes",
        ),
        ("a_1.png;cow\na_2,cat\nb_1,dog\n", "labels.csv`, which says `cow` in line 1"),
        ("a_1,dog\na_2\nb_1,dog\n", "labels.csv`, which says `` in line 2"),
        ("a_1,dog\na_1,cat\nb_1,dog\n", "labels.csv`, which gives `a_1` two classes, the second in line 2"),
        ("", "labels.csv`, which is empty"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error.place(), ["labels"]);
        assert!(error.to_string().contains(expected), "{error}");
    }
    // A name may have spaces in it, where something else stands before the class.
    std::fs::rename(files.path().join("val/a_2.png"), files.path().join("val/a 2.png")).unwrap();
    for text in ["a_1,dog\na 2.png,cat\nb_1,dog", "a_1 dog\nval/a 2\tcat 1 2\nb_1;dog"] {
        assert_eq!(labels(&read(text).unwrap().test), [0, 1, 1], "{text}");
    }
    std::fs::rename(files.path().join("val/a 2.png"), files.path().join("val/a_2.png")).unwrap();
    // One split alone, by the classes that a network knows.
    let labels_file = Some(files.write("labels.csv", "a_1,dog\na_2,cat\nb_1,dog\n"));
    let folder = ImageFolder { labels: labels_file, ..image_folder_of(&files) };
    let known = ["cat", "dog"].map(str::to_owned);
    let normalisation = image_folder(&folder, &preparation(0.25)).unwrap().normalisation;
    let split =
        |known: &[String]| image_folder_split(&folder, SplitKind::Test, &normalisation, known).unwrap();
    assert_eq!(labels(&split(&known).unwrap().test), [1, 0, 1]);
    assert!(split(&[]).is_none());

    #[cfg(unix)]
    {
        let link = files.path().join("val/a_0.png");
        std::os::unix::fs::symlink(files.path().join("nowhere"), &link).unwrap();
        let error = read("a_0,cat\na_1,dog\na_2,cat\nb_1,dog").unwrap_err().to_string();
        assert!(error.contains("val/a_0.png` cannot be read: No such file"), "{error}");
        std::fs::remove_file(link).unwrap();
    }

    // Folders of classes say them, to whoever evaluates on them.
    for path in ["a_1.png", "a_2.png", "b_1.png"] {
        std::fs::remove_file(files.path().join("val").join(path)).unwrap();
    }
    files.png("val/cat/0.png", 8, 8, [1, 2, 3]);
    let error = image_folder(&folder, &preparation(0.25)).unwrap_err();
    assert!(error.to_string().contains("but `val` has folders of classes, such as `cat`"), "{error}");
    assert_eq!(labels(&split(&known).unwrap().test), [0]);
}
