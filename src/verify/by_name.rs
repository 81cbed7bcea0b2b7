//! Finding the items of a list by their names, however many there are: no list is searched in a list.

use std::cell::OnceCell;

/// A list, `&[T]` or `Vec<T>`, whose items have names. A short one is searched; of a long one the order of names is made when
/// it is first asked for, so that n look-ups in n items take n log n steps.
#[derive(Debug, Clone)]
pub(crate) struct ByName<L, T> {
    list: L,
    name: fn(&T) -> &str,
    /// Places in the list by name, and among those of one name by place.
    order: OnceCell<Vec<u32>>,
}

/// Lists of at most so many items are searched: what TaskRuns hold has no need for an order.
const FEW: usize = 12;

impl<T, L: AsRef<[T]>> ByName<L, T> {
    pub(crate) fn new(list: L, name: fn(&T) -> &str) -> Self {
        Self { list, name, order: OnceCell::new() }
    }

    /// The whole list.
    pub(crate) fn list(&self) -> &[T] {
        self.list.as_ref()
    }

    /// The places of the first and the last item of this name.
    pub(crate) fn places(&self, name: &str) -> Option<(usize, usize)> {
        let list = self.list();
        if list.len() <= FEW {
            let mut places = (0..list.len()).filter(|&place| (self.name)(&list[place]) == name);
            let first = places.next()?;
            return Some((first, places.next_back().unwrap_or(first)));
        }
        let at = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        let order = self.order.get_or_init(|| {
            // An object has at most 16 MiB, so it has no more items.
            let mut order: Vec<u32> = (0..u32::try_from(list.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by_key(|&place| (self.name)(&list[at(place)]));
            order
        });
        let start = order.partition_point(|&place| (self.name)(&list[at(place)]) < name);
        let found = &order[start..];
        let count = found.partition_point(|&place| (self.name)(&list[at(place)]) == name);
        let found = &found[..count];
        Some((at(*found.first()?), at(*found.last()?)))
    }

    /// The first item of this name.
    pub(crate) fn first(&self, name: &str) -> Option<&T> {
        self.places(name).map(|(first, _)| &self.list()[first])
    }

    /// The last item of this name.
    pub(crate) fn last(&self, name: &str) -> Option<&T> {
        self.places(name).map(|(_, last)| &self.list()[last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_lists_are_looked_up_alike() {
        for count in [0, 1, FEW, FEW + 1, 100] {
            // Every name is there three times, but for the last one.
            let list: Vec<String> = (0..count).map(|i| format!("n{}", i * 7 % count / 3)).collect();
            let by_name = ByName::new(&list, |name: &String| name);
            for wanted in ["", "n", "z"].map(str::to_owned).into_iter().chain(list.iter().cloned()) {
                let expected: Vec<usize> = (0..count).filter(|&place| list[place] == wanted).collect();
                let (first, last) = (expected.first().copied(), expected.last().copied());
                assert_eq!(by_name.places(&wanted), first.zip(last), "{wanted:?} of {count}");
                let place_of = |item: Option<&String>| {
                    item.and_then(|item| (0..count).find(|&place| std::ptr::eq(&list[place], item)))
                };
                assert_eq!(place_of(by_name.first(&wanted)), first, "{wanted:?} of {count}");
                assert_eq!(place_of(by_name.last(&wanted)), last, "{wanted:?} of {count}");
            }
        }
    }
}
