//! Messages between trainers that are connected.

use super::GroupError;
use crate::group::Membership;
use crate::learn::shard_sum::ShardSum;
use crate::machine::shim::process_group::{Links, Store};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// How long the last ones are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// The other trainers of a group, connected. All of them have to make the same calls in the same order.
pub struct Peers {
    membership: Membership,
    store: Store,
    links: Links,
}

impl Peers {
    pub(super) fn new(membership: Membership, store: Store, links: Links) -> Self {
        Peers { membership, store, links }
    }

    /// This trainer's rank.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.membership.rank
    }

    /// Number of trainers.
    #[must_use]
    pub fn world(&self) -> u32 {
        self.membership.world
    }

    /// Has others be waited for as long as they may be waiting for loaders themselves.
    pub fn allow_for_loaders(&self, loader_timeout: Duration) {
        self.links.set_timeout(self.membership.timeout.saturating_add(loader_timeout));
    }

    /// The sum over the shards of all ranks, in the order of the tree, and the greatest `wish` of all.
    ///
    /// # Errors
    /// When a trainer is gone or silent.
    pub(crate) fn sum(&self, own: ShardSum, wish: i64) -> Result<(ShardSum, i64), GroupError> {
        let device = own.floats.device();
        let (whole_count, mark_count) = (own.whole.numel() as i64, own.marks.numel() as i64);
        let (mut sum, mut wish) = (own, wish);
        for peer in self.partners() {
            let numbers = [&sum.whole, &sum.marks].map(|row| row.to_device(Device::Cpu));
            let told = Tensor::cat(&[&numbers[0], &numbers[1], &Tensor::from_slice(&[wish])], 0);
            let told = self.exchange(peer, &told)?;
            let theirs = ShardSum {
                floats: self.exchange(peer, &sum.floats)?.to_device(device),
                doubles: self.exchange(peer, &sum.doubles)?.to_device(device),
                whole: told.narrow(0, 0, whole_count).to_device(device),
                marks: told.narrow(0, whole_count, mark_count),
            };
            wish = wish.max(told.int64_value(&[whole_count + mark_count]));
            sum = if self.rank() < peer { sum.plus(&theirs) } else { theirs.plus(&sum) };
        }
        Ok((sum, wish))
    }

    /// The sum over all ranks of rows of whole numbers, one as long as the other. Where each number is 0 on all ranks but one,
    /// it is what that one has: anything of 64 bits can be told so.
    ///
    /// # Errors
    /// As for [`Peers::sum`].
    pub fn join(&self, own: &[i64]) -> Result<Vec<i64>, GroupError> {
        let mut sum = Tensor::from_slice(own);
        for peer in self.partners() {
            sum += self.exchange(peer, &sum)?;
        }
        Ok(Vec::try_from(sum).unwrap_or_default())
    }

    /// What each rank says, by rank; all say as many bytes.
    ///
    /// # Errors
    /// As for [`Peers::sum`].
    pub fn all(&self, own: [u8; 32]) -> Result<Vec<[u8; 32]>, GroupError> {
        let mut row = vec![0; self.world() as usize * 4];
        for (place, bytes) in own.chunks_exact(8).enumerate() {
            row[self.rank() as usize * 4 + place] = i64::from_le_bytes(bytes.try_into().unwrap_or_default());
        }
        let row = self.join(&row)?;
        let said = |words: &[i64]| {
            let mut bytes = [0; 32];
            for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
            bytes
        };
        Ok(row.chunks_exact(4).map(said).collect())
    }

    /// The ranks that say something else than rank 0, by name; none where all say the same.
    ///
    /// # Errors
    /// As for [`Peers::sum`].
    pub fn contradicting(&self, own: [u8; 32]) -> Result<Option<String>, GroupError> {
        let all = self.all(own)?;
        let others: Vec<_> = (0..)
            .zip(&all)
            .filter(|(_, said)| **said != all[0])
            .map(|(rank, _): (u32, _)| format!("rank {rank}"))
            .collect();
        Ok((!others.is_empty()).then(|| others.join(", ")))
    }

    /// Rank 0's bytes, on all ranks; what others give is not looked at.
    ///
    /// # Errors
    /// As for [`Peers::sum`].
    pub fn from_first(&self, own: &[u8]) -> Result<Vec<u8>, GroupError> {
        let count = Tensor::from_slice(&[own.len() as i64]);
        self.broadcast(&count)?;
        let count = count.int64_value(&[0]);
        let bytes = if self.rank() == 0 {
            Tensor::from_slice(own)
        } else {
            Tensor::zeros([count], (Kind::Uint8, Device::Cpu))
        };
        if count > 0 {
            self.broadcast(&bytes)?;
        }
        Ok(Vec::try_from(bytes).unwrap_or_default())
    }

    /// Leaves in good order: whoever may be the store goes last.
    pub fn leave(self) {
        let Peers { membership, store, links } = self;
        let start = Instant::now();
        let others = i64::from(membership.world) - 1;
        if membership.rank > 0 {
            let _ = store.add("left", 1);
        } else {
            while start.elapsed() < FAREWELL && store.add("left", 0).is_ok_and(|left| left < others) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        drop(links);
    }

    /// Whom this rank exchanges with, one after the other: the other of its pair, then of the pair of pairs.
    fn partners(&self) -> impl Iterator<Item = u32> + use<> {
        let (rank, world) = (self.rank(), self.world());
        (0..world.trailing_zeros()).map(move |bit| rank ^ (1 << bit))
    }

    fn exchange(&self, peer: u32, own: &Tensor) -> Result<Tensor, GroupError> {
        let own = own.to_device(Device::Cpu).contiguous();
        if own.numel() == 0 {
            return Ok(own);
        }
        self.links.exchange(peer, &own).map_err(|cause| lost(peer, &cause))
    }

    fn broadcast(&self, tensor: &Tensor) -> Result<(), GroupError> {
        self.links.broadcast(0, tensor).map_err(|cause| lost(0, &cause))
    }
}

/// Whoever is named may itself only have left because another one did.
fn lost(peer: u32, cause: &str) -> GroupError {
    GroupError::Lost(format!(
        "rank {peer} does not answer ({cause}); start all again with --resume, in any number that fits"
    ))
}
