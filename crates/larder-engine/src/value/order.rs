//! Members in the order of their scores, with ranks: a B+ tree whose branches know how many items lie below each
//! child.
//!
//! Redis uses a skip list with spans for this. A tree of wide nodes does the same in O(log n) with a fraction of the
//! pointers and memory, and everything asked of it comes down to two operations: [`Order::position`], which finds how
//! many items come before some point, by rank, score or member alike, and [`Order::range`], which walks ranks.
//!
//! Items compare by score, then by member, byte by byte. Scores are never NaN; -0 equals 0.

use std::{cmp::Ordering, ops::Range, sync::Arc};

/// A member with its score. The bytes are shared with the map from members to scores.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) score: f64,
    pub(crate) member: Arc<[u8]>,
}

/// The most items in a leaf and children in a branch: wide enough that a million items are four levels deep, narrow
/// enough that shifting half a leaf costs less than finding it.
const WIDTH: usize = 64;

/// The order of a sorted set's items.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    root: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Vec<Item>),
    Branch(Vec<Child>),
}

#[derive(Clone, Debug)]
struct Child {
    /// No item below comes before this one, and every item of earlier children does. The first child's says nothing.
    low: Item,
    len: usize,
    node: Node,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            root: Node::Leaf(Vec::new()),
        }
    }
}

impl Order {
    pub(crate) fn len(&self) -> usize {
        self.root.len()
    }

    /// Adds an item that is not there yet.
    pub(crate) fn insert(&mut self, item: Item) {
        let Some(right) = self.root.insert(item) else {
            return;
        };
        let left = std::mem::replace(&mut self.root, Node::Branch(Vec::with_capacity(2)));
        let left = Child {
            low: right.low.clone(),
            len: left.len(),
            node: left,
        };
        self.root = Node::Branch(vec![left, right]);
    }

    /// Removes the item at a rank below [`len`](Self::len).
    pub(crate) fn remove(&mut self, rank: usize) -> Item {
        let item = self.root.remove(rank);
        if let Node::Branch(children) = &mut self.root
            && children.len() == 1
        {
            self.root = children.pop().expect("there is one").node;
        }
        item
    }

    /// How many items come before the point where `before` turns from true to false; it must do so at most once.
    pub(crate) fn position(&self, before: impl Fn(&Item) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(items) => return rank + items.partition_point(&before),
                Node::Branch(children) => {
                    let i = children[1..].partition_point(|child| before(&child.low));
                    rank += children[..i].iter().map(|child| child.len).sum::<usize>();
                    node = &children[i].node;
                }
            }
        }
    }

    /// How many items come before this one, whether it is there or not.
    pub(crate) fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.position(|item| item.cmp(score, member) == Ordering::Less)
    }

    /// The items of these ranks, forwards.
    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &Item> {
        let mut at = range.start;
        let slices = std::iter::from_fn(move || {
            let (leaf, offset) = self.leaf(at).filter(|_| at < range.end)?;
            let taken = (leaf.len() - offset).min(range.end - at);
            at += taken;
            Some(&leaf[offset..offset + taken])
        });
        slices.flatten()
    }

    /// The items of these ranks, backwards.
    pub(crate) fn range_reversed(&self, range: Range<usize>) -> impl Iterator<Item = &Item> {
        let mut end = range.end;
        let slices = std::iter::from_fn(move || {
            let last = end.checked_sub(1).filter(|last| *last >= range.start)?;
            let (leaf, offset) = self.leaf(last)?;
            let taken = (offset + 1).min(end - range.start);
            end -= taken;
            Some(leaf[offset + 1 - taken..=offset].iter().rev())
        });
        slices.flatten()
    }

    /// The leaf that holds this rank, and where in it.
    fn leaf(&self, rank: usize) -> Option<(&[Item], usize)> {
        let (mut node, mut rank) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(items) => return (rank < items.len()).then_some((items, rank)),
                Node::Branch(children) => {
                    let i = child_at(children, &mut rank)?;
                    node = &children[i].node;
                }
            }
        }
    }
}

impl Item {
    fn cmp(&self, score: f64, member: &[u8]) -> Ordering {
        self.score
            .partial_cmp(&score)
            .expect("a score is a number")
            .then_with(|| (*self.member).cmp(member))
    }
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Branch(children) => children.iter().map(|child| child.len).sum(),
        }
    }

    /// Adds an item below; the right half if the node had to be split.
    fn insert(&mut self, item: Item) -> Option<Child> {
        match self {
            Self::Leaf(items) => {
                let at = items.partition_point(|other| other.cmp(item.score, &item.member) == Ordering::Less);
                items.insert(at, item);
                (items.len() > WIDTH).then(|| {
                    let right = items.split_off(split_point(at, items.len()));
                    Child::new(right[0].clone(), Self::Leaf(right))
                })
            }
            Self::Branch(children) => {
                let i =
                    children[1..].partition_point(|child| child.low.cmp(item.score, &item.member) != Ordering::Greater);
                children[i].len += 1;
                let right = children[i].node.insert(item)?;
                children[i].len -= right.len;
                children.insert(i + 1, right);
                (children.len() > WIDTH).then(|| {
                    let right = children.split_off(split_point(i + 1, children.len()));
                    Child::new(right[0].low.clone(), Self::Branch(right))
                })
            }
        }
    }

    fn remove(&mut self, mut rank: usize) -> Item {
        match self {
            Self::Leaf(items) => items.remove(rank),
            Self::Branch(children) => {
                let i = child_at(children, &mut rank).expect("the rank is below the length");
                children[i].len -= 1;
                let item = children[i].node.remove(rank);
                merge(children, i);
                item
            }
        }
    }

    /// Items in a leaf, children in a branch.
    fn width(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Branch(children) => children.len(),
        }
    }
}

impl Child {
    fn new(low: Item, node: Node) -> Self {
        Self {
            low,
            len: node.len(),
            node,
        }
    }

    /// Takes over everything below the next child.
    fn absorb(&mut self, next: Self) {
        self.len += next.len;
        match (&mut self.node, next.node) {
            (Node::Leaf(items), Node::Leaf(more)) => items.extend(more),
            (Node::Branch(children), Node::Branch(mut more)) => {
                // It is no longer the first, so its bound counts from now on.
                more[0].low = next.low;
                children.extend(more);
            }
            _ => unreachable!("all leaves lie equally deep"),
        }
    }
}

/// Where to split a full node: in the middle, but at the end if that is where it grew, so that scores that only rise,
/// as times do, leave full nodes behind.
const fn split_point(grown_at: usize, len: usize) -> usize {
    if grown_at + 1 == len { len - 1 } else { len / 2 }
}

/// The child that holds this rank, which becomes the rank within it.
fn child_at(children: &[Child], rank: &mut usize) -> Option<usize> {
    children.iter().position(|child| {
        let here = *rank < child.len;
        if !here {
            *rank -= child.len;
        }
        here
    })
}

/// Drops child `i` if nothing is left below it, or joins it with a neighbour once both together fill half a node:
/// lazily, so that removing and adding in turns does not split and join in turns.
fn merge(children: &mut Vec<Child>, i: usize) {
    if children[i].len == 0 && children.len() > 1 {
        children.remove(i);
        return;
    }
    let fits = |pair: &[Child]| pair[0].node.width() + pair[1].node.width() <= WIDTH / 2;
    let left = if i + 1 < children.len() && fits(&children[i..i + 2]) {
        i
    } else if i > 0 && fits(&children[i - 1..=i]) {
        i - 1
    } else {
        return;
    };
    let next = children.remove(left + 1);
    children[left].absorb(next);
}

#[cfg(test)]
mod tests {
    use larder_base::Random;

    use super::*;

    fn item(n: u64) -> Item {
        Item {
            score: (n / 4) as f64,
            member: n.to_string().into_bytes().into(),
        }
    }

    fn text<'a>(items: impl Iterator<Item = &'a Item>) -> Vec<String> {
        items
            .map(|item| String::from_utf8_lossy(&item.member).into_owned())
            .collect()
    }

    /// A sorted `Vec` does the same, slowly.
    #[derive(Default)]
    struct Model(Vec<Item>);

    impl Model {
        fn rank(&self, item: &Item) -> Result<usize, usize> {
            self.0.binary_search_by(|other| other.cmp(item.score, &item.member))
        }
    }

    fn check(order: &Order, model: &Model, random: &Random) {
        assert_eq!(order.len(), model.0.len());
        let (a, b) = (
            random.below(order.len() as u64 + 1),
            random.below(order.len() as u64 + 1),
        );
        let range = a.min(b) as usize..a.max(b) as usize;
        assert_eq!(text(order.range(range.clone())), text(model.0[range.clone()].iter()));
        assert_eq!(
            text(order.range_reversed(range.clone())),
            text(model.0[range].iter().rev())
        );
        let probe = item(random.below(4_000));
        let rank = model.rank(&probe).unwrap_or_else(|rank| rank);
        assert_eq!(order.rank(probe.score, &probe.member), rank);
    }

    #[test]
    fn it_agrees_with_a_sorted_vec() {
        let random = Random::seeded(3);
        let (mut order, mut model) = (Order::default(), Model::default());
        // Growing, steady, shrinking, so that nodes split, join and vanish.
        for growth in [90, 50, 10, 80, 5] {
            for turn in 0..1_500 {
                if random.below(100) < growth {
                    let new = item(random.below(4_000));
                    if let Err(rank) = model.rank(&new) {
                        order.insert(new.clone());
                        model.0.insert(rank, new);
                    }
                } else if !model.0.is_empty() {
                    let rank = random.below(model.0.len() as u64) as usize;
                    assert_eq!(order.remove(rank).member, model.0.remove(rank).member);
                }
                if turn % 50 == 0 {
                    check(&order, &model, &random);
                }
            }
            check(&order, &model, &random);
        }
    }

    #[test]
    fn runs_of_removals_leave_nothing_behind() {
        let mut order = Order::default();
        (0..10_000).for_each(|n| order.insert(item(n)));
        (0..9_990).for_each(|_| _ = order.remove(5));
        assert_eq!(order.len(), 10);
        assert_eq!(order.range(0..10).count(), 10);
        (0..10_000).for_each(|n| order.insert(item(n + 20_000)));
        assert_eq!(order.rank(f64::INFINITY, b""), 10_010);
    }

    #[test]
    fn rising_scores_fill_their_nodes() {
        fn leaves(node: &Node) -> usize {
            match node {
                Node::Leaf(_) => 1,
                Node::Branch(children) => children.iter().map(|child| leaves(&child.node)).sum(),
            }
        }
        let mut order = Order::default();
        let rising = |n: usize| Item {
            score: n as f64,
            member: [0_u8; 0].into(),
        };
        (0..WIDTH * 100).for_each(|n| order.insert(rising(n)));
        assert!(leaves(&order.root) <= 101);
    }
}
