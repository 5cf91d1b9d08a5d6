use std::fmt;
use std::str::FromStr;

use miette::Diagnostic;

use super::choice::{DeviceChoice, OpenDevice};
use crate::experiment::Trial;
use crate::train::{Devices, NamedDevice};

/// Devices that share the batches of a training: one or more CUDA devices, or the CPU any number of times, as `cpu` or as `native`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct DeviceList {
    first: DeviceChoice,
    others: Vec<DeviceChoice>,
}

/// A name that does not belong in the list.
#[derive(Debug, PartialEq, Eq)]
struct Misfit {
    index: usize,
    message: String,
}

impl DeviceList {
    fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Misfit> {
        let mut list: Option<Self> = None;
        for (index, name) in names.into_iter().enumerate() {
            let misfit = |message| Misfit { index, message };
            let choice = name.trim().parse().map_err(misfit)?;
            match &mut list {
                None => list = Some(Self { first: choice, others: Vec::new() }),
                Some(list) => {
                    list.check(choice).map_err(misfit)?;
                    list.others.push(choice);
                }
            }
        }
        list.ok_or_else(|| Misfit { index: 0, message: "this list names no device".to_owned() })
    }

    /// Whether `choice` can follow the devices that are in the list.
    fn check(&self, choice: DeviceChoice) -> Result<(), String> {
        if [choice, self.first].contains(&DeviceChoice::Auto) {
            return Err("`auto` is one device; to share a batch between several, name each".to_owned());
        }
        let is_cuda = |choice| matches!(choice, DeviceChoice::Cuda(_));
        if choice != self.first && !(is_cuda(choice) && is_cuda(self.first)) {
            let first = self.first;
            Err(format!(
                "`{first}` and `{choice}` cannot share a batch: their parts are equal, so all would wait for the slower one"
            ))
        } else if is_cuda(choice) && self.choices().any(|known| known == choice) {
            Err(format!(
                "`{choice}` is listed twice: it computes one part of a batch, and gains nothing from two"
            ))
        } else {
            Ok(())
        }
    }

    fn choices(&self) -> impl Iterator<Item = DeviceChoice> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// What results call devices with these names, equal ones together: `2 x cpu, 4 threads, f32`.
fn described(names: impl IntoIterator<Item = String>) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for name in names {
        match counted.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counted.push((name, 1)),
        }
    }
    let counted = counted.into_iter().map(|(name, count)| match count {
        1 => name,
        _ => format!("{count} x {name}"),
    });
    counted.collect::<Vec<_>>().join(" + ")
}

/// The list as the command line writes it.
impl fmt::Display for DeviceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.choices().map(|choice| choice.to_string()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for DeviceList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of(text.split(',')).map_err(|misfit| misfit.message)
    }
}

/// Opens the only device that trains `trial`: the one `given` on the command line, or else that of the experiment, or else the default.
/// `None` if several share its batches, or if the experiment names one that is not here, since another machine will run it.
///
/// # Errors
///
/// When the device `given` is not available.
pub(in crate::cli) fn open_only(
    given: Option<&DeviceList>,
    trial: &Trial,
) -> miette::Result<Option<OpenDevice>> {
    let only = |list: &DeviceList| list.others.is_empty().then_some(list.first);
    match (given, &trial.experiment.devices) {
        (Some(given), _) => Ok(only(given).map(|choice| choice.open(true)).transpose()?),
        (None, Some(names)) => {
            let list = DeviceList::of(names.iter().map(String::as_str)).ok();
            Ok(list.as_ref().and_then(only).and_then(|choice| choice.open(true).ok()))
        }
        (None, None) => Ok(Some(DeviceChoice::default().open(true)?)),
    }
}

/// Opens the devices `given` on the command line, or else those of the experiment, or else the default, and returns them with
/// what results call them. See [`DeviceChoice::open`] for `quiet`.
///
/// # Errors
///
/// When a device is not available; for one in the experiment, at its place in the file.
pub(in crate::cli) fn open_list(
    given: Option<&DeviceList>,
    trial: &Trial,
    quiet: bool,
) -> miette::Result<(Devices, String)> {
    let written = if given.is_some() { None } else { trial.experiment.devices.as_ref() };
    let at = |index: usize, message: String, help: Option<String>| {
        trial.document.error(&["devices", &index.to_string()], message, help)
    };
    let list = match (given, written) {
        (Some(given), _) => given.clone(),
        (None, Some(names)) => DeviceList::of(names.iter().map(String::as_str))
            .map_err(|misfit| at(misfit.index, misfit.message, None))?,
        (None, None) => DeviceList { first: DeviceChoice::default(), others: Vec::new() },
    };
    let open = |(index, choice): (usize, DeviceChoice)| -> miette::Result<OpenDevice> {
        match choice.open(quiet) {
            Ok(device) => Ok(device),
            Err(error) if written.is_some() => {
                let help = error.help().map(|help| help.to_string());
                Err(at(index, error.to_string(), help).into())
            }
            Err(error) => Err(error.into()),
        }
    };
    let first = open((0, list.first))?;
    let others = (1..).zip(list.others.iter().copied()).map(open).collect::<miette::Result<Vec<_>>>()?;
    let precision = first.precision(trial)?;
    for other in &others {
        other.precision(trial)?;
    }
    let names = std::iter::once(&first).chain(&others).map(|device| device.describe_with(precision));
    let described = described(names);
    let named = |(choice, open): (DeviceChoice, OpenDevice)| NamedDevice {
        name: choice.to_string(),
        device: open.device,
    };
    let others = list.others.into_iter().zip(others).map(named).collect();
    Ok((Devices { first: named((list.first, first)), others }, described))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_their_order() {
        let choices = |text: &str| text.parse::<DeviceList>().map(|list| list.choices().collect::<Vec<_>>());
        assert_eq!(choices("cpu"), Ok(vec![DeviceChoice::Cpu]));
        assert_eq!(choices("cuda:1, cuda"), Ok(vec![DeviceChoice::Cuda(1), DeviceChoice::Cuda(0)]));
        assert_eq!(choices("cpu,cpu,cpu"), Ok(vec![DeviceChoice::Cpu; 3]));
        assert_eq!(choices("native,native"), Ok(vec![DeviceChoice::Native; 2]));
        assert_eq!("cuda:1, cuda".parse::<DeviceList>().unwrap().to_string(), "cuda:1,cuda:0");
    }

    #[test]
    fn what_cannot_share_is_refused() {
        let misfit = |names: &[&str]| DeviceList::of(names.iter().copied()).unwrap_err();
        let twice = misfit(&["cuda:1", "cuda:0", "cuda"]);
        assert!(twice.index == 2 && twice.message.contains("`cuda:0` is listed twice"), "{twice:?}");
        for mixed in [["cuda:1", "cpu"], ["cuda:1", "native"], ["native", "cpu"]] {
            let mixed = misfit(&mixed);
            assert!(mixed.index == 1 && mixed.message.contains("cannot share a batch"), "{mixed:?}");
        }
        let unknown = misfit(&["cpu", "cpu", "gpu"]);
        assert!(unknown.index == 2 && unknown.message.contains("unknown device `gpu`"), "{unknown:?}");
        assert!("".parse::<DeviceList>().is_err() && "cpu,".parse::<DeviceList>().is_err());
    }

    #[test]
    fn equal_devices_are_counted() {
        let describe = |names: &[&str]| described(names.iter().map(ToString::to_string));
        assert_eq!(describe(&["cpu, f32"]), "cpu, f32");
        assert_eq!(describe(&["cpu, f32", "cpu, f32"]), "2 x cpu, f32");
        assert_eq!(describe(&["cuda:0, A, f32", "cuda:2, A, f32"]), "cuda:0, A, f32 + cuda:2, A, f32");
    }

    #[test]
    fn auto_stands_alone() {
        assert!("auto".parse::<DeviceList>().is_ok());
        for list in ["auto,cpu", "cuda:1,auto", "auto,auto"] {
            let message = list.parse::<DeviceList>().unwrap_err();
            assert!(message.contains("`auto` is one device"), "{list}: {message}");
        }
    }
}
