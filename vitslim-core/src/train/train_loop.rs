//! The training loop: epochs of steps, each followed by validation, a checkpoint and a record.

use std::time::Instant;

use burn::module::Module;

use super::TrainError;
use super::accuracy::measure;
use super::early_stopping::{Chosen, HeldOut, is_complete};
use super::memory::LastWords;
use super::progress::StageProgress;
use super::record::{Entry, Values, statistics, value, write_stage_events};
use super::resume::{Progress, StageFiles, resume};
use super::shared::import_or_claim;
use super::stage::StageRun;
use super::trainer::Trainer;
use crate::experiment::Keep;
use crate::models::Architecture;
use crate::slim::Slim;
use crate::terminal::{counted, say};
use crate::whole_file::remove;

/// The result of a stage.
#[derive(Debug)]
pub struct Trained<M: Module> {
    /// Model and masks, in validation mode.
    pub slim: Slim<M>,
    /// Epochs that were trained.
    pub epochs: usize,
    /// Seconds that training took, over all restarts.
    pub seconds: f64,
}

/// Trains `slim`, which is in validation mode, for a stage. Resumes where the stage stopped.
///
/// # Errors
///
/// When it is interrupted, a loss is not finite, burn refuses the settings, a file cannot be read or written, a checkpoint
/// belongs to another network, or a device fails.
pub fn train<M: Architecture>(slim: Slim<M>, run: &StageRun) -> Result<Trained<M>, TrainError> {
    let files = StageFiles::of_run(run.folder, run.stage, run.subnet, run.training);
    let claim = import_or_claim(run, &files)?;
    let Progress { mut epochs, complete } = resume(&slim, run, &files)?;
    if !complete {
        let _words = LastWords::new(run.out_of_memory());
        train_epochs(&slim, run, &files, &mut epochs).inspect_err(|error| {
            claim.as_ref().inspect(|claim| claim.remember(error));
        })?;
    } else {
        // A process that was killed after its last epoch may not have come to it.
        write_stage_events(run.folder, &files.record)?;
    }
    if complete && !run.quiet {
        say(format_args!("{}: complete, {}", run.title(), counted(epochs.len(), "epoch", "epochs")));
    }

    // The next stage gets what was saved, whether it was trained just now or before a restart.
    let chosen = Chosen::of(&epochs, run.training).ok_or_else(|| run.failed("no epoch is recorded"))?;
    if run.keep == Keep::Last {
        // A file that cannot be removed only takes up space.
        files.checkpoints.spare(chosen).for_each(|path| drop(remove(&path)));
    }
    if let Some(claim) = claim {
        claim.publish(&files)?;
    }
    if !run.quiet && (chosen.averaged || chosen.epoch < epochs.len()) {
        let weights = if chosen.averaged { "averaged weights" } else { "weights" };
        say(format_args!("{}: the {weights} of epoch {} are used", run.title(), chosen.epoch));
    }
    let slim = files.checkpoints.load(chosen, slim)?;
    let seconds = files.record.seconds().map_err(|error| files.record.error(error))?;
    Ok(Trained { slim, epochs: epochs.len(), seconds })
}

/// Trains the remaining epochs after `epochs`, and appends them.
fn train_epochs<M: Architecture>(
    slim: &Slim<M>,
    run: &StageRun,
    files: &StageFiles,
    epochs: &mut Vec<HeldOut>,
) -> Result<(), TrainError> {
    let StageFiles { record, checkpoints } = files;
    let (batches, held_out) = (run.batches(), run.held_out_batches());
    let settings = run.trainer(batches.len());
    let mut trainer = match epochs.len() {
        0 => Trainer::new(slim.clone(), settings)?,
        done => Trainer::resume(slim.clone(), settings, checkpoints, done)?,
    };
    let before = record.seconds().map_err(|error| record.error(error))?;
    let started = Instant::now();
    let append = |epoch, step, train, held_out, slim: &Slim<M>| {
        run.check_taken_over()?;
        let seconds = before + started.elapsed().as_secs_f64();
        let masks = statistics(&slim.masks);
        record
            .append(Entry { epoch, step, seconds, train, held_out, masks })
            .map_err(|error| record.error(error))
    };
    let failed = |error, epoch| run.step_failed(error, epoch, checkpoints.folder());
    let mut progress = StageProgress::new(run, epochs.len());

    for epoch in epochs.len() + 1..=run.training.epochs.get() {
        progress.begin_training();
        for batch in batches.epoch(epoch) {
            run.check_interrupt(epoch)?;
            let batch = batch.map_err(|error| run.unreadable(&error))?;
            let images = batch.len();
            trainer = trainer.step(batch).map_err(|error| failed(error, epoch))?;
            if trainer.steps().is_multiple_of(run.log_every) {
                trainer.read().map_err(|error| failed(error, epoch))?;
                append(epoch, Some(trainer.steps()), trainer.take_line(), Values::new(), &trainer.slim())?;
            }
            progress.step(images, trainer.loss());
        }
        trainer.read().and_then(|()| trainer.check_parameters()).map_err(|error| failed(error, epoch))?;

        progress.begin_validation();
        let (slim, average) = (trainer.slim(), trainer.average().cloned());
        let models: Vec<M> = [Some(&slim), average.as_ref()].into_iter().flatten().map(Slim::gated).collect();
        let images = held_out.epoch(epoch).take_while(|_| !run.interrupter.should_stop());
        let measured = measure(&models, images, run.precision)
            .map_err(|error| run.validation_failed(&error, epoch, checkpoints.folder()))?;
        run.check_interrupt(epoch)?;
        let [top1, top1_ema] = [0, 1].map(|model| Some(measured.get(model)?.accuracy.top1));

        run.check_taken_over()?;
        checkpoints
            .save(epoch, slim.clone(), average, trainer.optimizer())
            .map_err(|source| run.unsaved(checkpoints.folder(), source))?;
        let loss = measured.first().map(|measured| ("loss", measured.loss));
        let held_out = [loss, top1.map(|top1| ("top1", top1)), top1_ema.map(|top1| ("top1_ema", top1))];
        let held_out = held_out.into_iter().flatten().map(|(name, mean)| value(name, mean)).collect();
        append(epoch, None, trainer.take_epoch(), held_out, &slim)?;
        write_stage_events(run.folder, record)?;
        epochs.push(HeldOut { top1: top1.unwrap_or(0.0), top1_ema });
        checkpoints.prune(epoch, epochs, run.training, run.keep);
        progress.end_epoch(top1);

        if is_complete(epochs, run.training) {
            break;
        }
        run.check_interrupt(epoch + 1)?;
    }
    progress.end();
    Ok(())
}
