//! Waiting for what another task brings.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A value that comes once.
pub struct Promise<T>(Rc<RefCell<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Promise<T> {
        Promise(self.0.clone())
    }
}

impl<T> Default for Promise<T> {
    fn default() -> Promise<T> {
        Promise(Rc::new(RefCell::new((None, None))))
    }
}

impl<T> Promise<T> {
    /// Here it is.
    pub fn keep(&self, value: T) {
        let mut inner = self.0.borrow_mut();
        inner.0 = Some(value);
        if let Some(waker) = inner.1.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Promise<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut inner = self.0.borrow_mut();
        match inner.0.take() {
            Some(value) => Poll::Ready(value),
            None => {
                inner.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Runs all of them beside each other; their values in the order given.
pub async fn all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(move |cx| {
        let mut waiting = false;
        for (future, value) in &mut futures {
            if value.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(done) => *value = Some(done),
                    Poll::Pending => waiting = true,
                }
            }
        }
        match waiting {
            true => Poll::Pending,
            false => Poll::Ready(futures.iter_mut().filter_map(|(_, v)| v.take()).collect()),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use podlab_guest::runtime::{block_on, spawn};

    use super::*;

    #[test]
    fn values_come_in_the_order_they_were_asked_for() {
        let promises: Vec<Promise<u32>> = vec![Promise::default(); 2]
            .into_iter()
            .map(|_: Promise<u32>| Promise::default())
            .collect();
        let (a, b) = (promises[0].clone(), promises[1].clone());
        let values = block_on(async move {
            spawn(async move {
                b.keep(2);
                a.keep(1);
            });
            all(promises).await
        });
        assert_eq!(values, [1, 2]);
    }
}
