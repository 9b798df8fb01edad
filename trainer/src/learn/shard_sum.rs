//! What virtual shards of a batch come to, summed in a fixed binary tree.
//!
//! Sums of floating-point numbers depend on their order. Here it is that of a binary tree over the shards, whose inner nodes
//! add the right half to the left one; so the last bits of a gradient depend on the number of shards alone, and not on who
//! computes which. (What a shard is, and who has it, is [`crate::train`]'s.)
//!
//! Buffers are kept up by each shard from what they were before the step. What a step does to them is the mean of what its
//! shards do, weighted by rows, in the same tree; whole numbers are those of the last shard, which is never empty. So running
//! means and variances of batch normalisation are those of its shards (Hoffer et al., arXiv:1705.08741: "ghost" batches).

use crate::learn::model::Parameters;
use tch::{Device, Kind, Tensor, no_grad};

/// Buffers as they were before a step.
pub(crate) struct Before(Vec<Tensor>);

impl Before {
    pub(crate) fn of(parameters: &Parameters) -> Self {
        no_grad(|| Before(parameters.buffers().map(Tensor::copy).collect()))
    }

    /// Has the buffers be what they were.
    pub(crate) fn restore(&self, parameters: &Parameters) {
        no_grad(|| {
            for (buffer, before) in parameters.buffers().zip(&self.0) {
                buffer.shallow_clone().copy_(before);
            }
        });
    }
}

/// Where a tensor's numbers are summed.
enum Place {
    Floats,
    Doubles,
    /// Not summed: the last shard's stay.
    Whole,
    /// Not summed, and left as they were before the step.
    Kept,
}

fn place(tensor: &Tensor) -> Place {
    match tensor.kind() {
        Kind::Double => Place::Doubles,
        Kind::Float | Kind::Half | Kind::BFloat16 => Place::Floats,
        Kind::ComplexHalf | Kind::ComplexFloat | Kind::ComplexDouble => Place::Kept,
        _ => Place::Whole,
    }
}

/// The sum over some shards, as rows of numbers that a message can hold.
#[derive(Debug)]
pub(crate) struct ShardSum {
    /// f32: gradients of the parameters, changes of the buffers, the loss.
    pub(crate) floats: Tensor,
    /// f64: the same of parameters and buffers in double precision.
    pub(crate) doubles: Tensor,
    /// i64: buffers of whole numbers.
    pub(crate) whole: Tensor,
    /// i64: for each parameter, 1 where it has a gradient.
    pub(crate) marks: Tensor,
}

impl ShardSum {
    /// What one shard came to: the gradients that its loss left in `parameters`, and how the buffers differ from `before`.
    /// `loss` is the shard's share of the mean loss: its own mean, times `weight`, its share of the rows.
    pub(crate) fn of_shard(parameters: &Parameters, before: &Before, loss: &Tensor, weight: f64) -> Self {
        let device = parameters.device();
        let (mut floats, mut doubles, mut whole, mut marks) = (vec![], vec![], vec![], vec![]);
        no_grad(|| {
            for (_, parameter) in parameters.iter() {
                let gradient = parameter.grad();
                marks.push(i64::from(gradient.defined()));
                let gradient = if gradient.defined() { gradient } else { parameter.zeros_like() };
                let list =
                    if matches!(place(parameter), Place::Doubles) { &mut doubles } else { &mut floats };
                list.push(gradient.reshape([-1]));
            }
            for (buffer, before) in parameters.buffers().zip(&before.0) {
                // Where nothing changed, what may be infinite is not subtracted from itself.
                let change = |kind| {
                    let (now, before) = (buffer.to_kind(kind), before.to_kind(kind));
                    let same = now.eq_tensor(&before);
                    (now - before).g_mul_scalar_(weight).masked_fill_(&same, 0.0).reshape([-1])
                };
                match place(buffer) {
                    Place::Floats => floats.push(change(Kind::Float)),
                    Place::Doubles => doubles.push(change(Kind::Double)),
                    Place::Whole => whole.push(buffer.to_kind(Kind::Int64).reshape([-1])),
                    Place::Kept => {}
                }
            }
            floats.push(loss.detach().reshape([1]));
        });
        let row = |kind, parts: Vec<Tensor>| match parts.len() {
            0 => Tensor::zeros([0], (kind, device)),
            _ => Tensor::cat(&parts.iter().map(|part| part.to_kind(kind)).collect::<Vec<_>>(), 0),
        };
        ShardSum {
            floats: row(Kind::Float, floats),
            doubles: row(Kind::Double, doubles),
            whole: row(Kind::Int64, whole),
            marks: Tensor::from_slice(&marks),
        }
    }

    /// The sum of this, of the shards before, and of those after.
    pub(crate) fn plus(mut self, after: &ShardSum) -> Self {
        no_grad(|| {
            let _ = self.floats.g_add_(&after.floats);
            let _ = self.doubles.g_add_(&after.doubles);
        });
        ShardSum { whole: after.whole.shallow_clone(), marks: self.marks.maximum(&after.marks), ..self }
    }

    /// Leaves the gradients of the whole batch in `parameters`, and buffers as its shards changed them; gives the mean loss.
    pub(crate) fn take_effect(&self, parameters: &Parameters, before: &Before) -> Tensor {
        let marks: Vec<i64> = Vec::try_from(self.marks.to_device(Device::Cpu)).unwrap_or_default();
        let (mut floats, mut doubles, mut whole) =
            (Row(&self.floats, 0), Row(&self.doubles, 0), Row(&self.whole, 0));
        for ((_, parameter), mark) in parameters.iter().zip(marks) {
            let row = if matches!(place(parameter), Place::Doubles) { &mut doubles } else { &mut floats };
            let sum = row.next_like(parameter);
            // A parameter that no shard has used has no gradient, and no optimiser moves it.
            if mark == 0 {
                continue;
            }
            if !parameter.grad().defined() {
                (parameter * 0.0).sum(parameter.kind()).backward();
            }
            no_grad(|| parameter.grad().copy_(&sum));
        }
        no_grad(|| {
            for (buffer, before) in parameters.buffers().zip(&before.0) {
                let value = match place(buffer) {
                    Place::Floats => before.to_kind(Kind::Float) + floats.next_like(buffer),
                    Place::Doubles => before + doubles.next_like(buffer),
                    Place::Whole => whole.next_like(buffer),
                    Place::Kept => before.shallow_clone(),
                };
                buffer.shallow_clone().copy_(&value);
            }
        });
        floats.0.get(floats.1)
    }
}

/// A row of numbers, and how many of them were taken.
struct Row<'a>(&'a Tensor, i64);

impl Row<'_> {
    /// As many numbers as `tensor` has, in its shape.
    fn next_like(&mut self, tensor: &Tensor) -> Tensor {
        let count = tensor.numel() as i64;
        let part = self.0.narrow(0, self.1, count).reshape(tensor.size());
        self.1 += count;
        part
    }
}

/// Sums over shards that come one after the other.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Sums over neighbours that wait for those after them, each over as many shards as a power of two.
    waiting: Vec<Option<ShardSum>>,
    shards: u64,
}

impl Tree {
    /// Adds the next shard; none if it is empty.
    pub(crate) fn add(&mut self, shard: Option<ShardSum>) {
        let mut node = shard;
        for _ in 0..self.shards.trailing_ones() {
            let before = self.waiting.pop().flatten();
            node = match (before, node) {
                (Some(before), Some(after)) => Some(before.plus(&after)),
                (before, after) => before.or(after),
            };
        }
        self.waiting.push(node);
        self.shards += 1;
    }

    /// The sum; none where all shards were empty.
    ///
    /// # Panics
    /// When their number is no power of two.
    pub(crate) fn sum(mut self) -> Option<ShardSum> {
        assert!(self.shards.is_power_of_two(), "{} shards", self.shards);
        self.waiting.pop().flatten()
    }
}

#[cfg(test)]
mod tests;
