//! The queue of platforms that want a pass.

use crate::{naming::PlatformKey, stores::Stores};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::mpsc;

/// Wakes passes; does nothing while this replica does not lead.
#[derive(Clone)]
pub struct Wake {
    leading: Arc<AtomicBool>,
    queue: mpsc::Sender<PlatformKey>,
}

impl Wake {
    /// A waker, and the end that the controller reads.
    pub fn new() -> (Self, mpsc::Receiver<PlatformKey>) {
        let (queue, receiver) = mpsc::channel(4096);
        (Self { leading: Arc::default(), queue }, receiver)
    }

    /// From now on it wakes: this replica leads.
    pub fn lead(&self) {
        self.leading.store(true, Ordering::Release);
    }

    /// The plain sending end, for who runs only while this replica leads.
    pub fn sender(&self) -> mpsc::Sender<PlatformKey> {
        self.queue.clone()
    }

    /// Wakes the pass of a platform.
    pub async fn wake(&self, key: PlatformKey) {
        if self.leading.load(Ordering::Acquire) {
            // The receiver is gone only when the process ends.
            let _ = self.queue.send(key).await;
        }
    }

    /// Wakes the pass of every platform.
    pub async fn wake_all(&self, stores: &Stores) {
        for platform in stores.platforms.state() {
            self.wake(PlatformKey::of(platform.as_ref())).await;
        }
    }
}
