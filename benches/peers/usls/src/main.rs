//! The peer: `usls`, a Rust library of models over ONNX Runtime, as its documentation shows it.
//! One thread a job, each with a session of one thread; prints the number of boxes.
//!
//! `usls-scan MODEL.onnx SIDE CLASSES JOBS PHOTO...`

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use usls::{Config, Image, Model, Task, models::YOLO};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("MODEL.onnx SIDE CLASSES JOBS PHOTO...");
    let (file, side, classes, jobs) = (next()?, next()?, next()?, next()?);
    let (side, classes, jobs): (usize, usize, usize) = (side.parse()?, classes.parse()?, jobs.parse()?);
    let photos: Vec<String> = arguments.collect();
    let todo = Mutex::new(photos.into_iter());
    let boxes = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let config = Config::yolo()
                        .with_task(Task::ObjectDetection)
                        .with_version(8.into())
                        .with_model_file(&file)
                        .with_model_ixx(0, 2, side)
                        .with_model_ixx(0, 3, side)
                        .with_num_intra_threads_all(1)
                        .with_normalize(false) // this network takes 0 to 255
                        .with_nc(classes)
                        .with_class_confs(&[0.25])
                        .with_iou(0.65)
                        .commit()?;
                    let mut model = YOLO::new(config)?;
                    loop {
                        let Some(path) = todo.lock().ok().and_then(|mut todo| todo.next()) else {
                            return Ok(());
                        };
                        let found = model.run(&[Image::try_read(path)?])?;
                        let n = found.iter().map(|y| y.hbbs().len()).sum();
                        boxes.fetch_add(n, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => done?,
                Err(_) => anyhow::bail!("a worker panicked"),
            }
        }
        Ok(())
    })?;
    println!("{} boxes", boxes.into_inner());
    Ok(())
}
