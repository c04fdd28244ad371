//! Typed views of objects for controllers: `k8s-openapi`'s structs.

use k8s_openapi::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Error;
use super::resource::qualified;
use super::{DeleteOptions, Part, Store, WriteOptions};

/// How often a change is tried again when somebody else was faster.
const RETRIES: usize = 8;

/// The store's key of a typed resource ("pods", "leases.coordination.k8s.io").
pub fn key_of<T: Resource>() -> String {
    qualified(T::URL_PATH_SEGMENT, T::GROUP)
}

/// A stored object as a struct; `None` if it does not have the struct's shape.
pub fn view<T: DeserializeOwned>(object: &Value) -> Option<T> {
    T::deserialize(object).ok()
}

fn to_value<T: Serialize>(object: &T) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|e| Error::internal(e.to_string()))
}

fn from_value<T: DeserializeOwned>(object: &Value) -> Result<T, Error> {
    T::deserialize(object).map_err(|e| Error::internal(e.to_string()))
}

impl Store {
    /// The object, if it exists.
    pub fn get_as<T: Resource + DeserializeOwned>(&self, namespace: &str, name: &str) -> Option<T> {
        self.get(&key_of::<T>(), namespace, name).and_then(|o| view(&o))
    }

    /// The objects of a namespace, or of all, by namespace and name.
    pub fn list_as<T: Resource + DeserializeOwned>(&self, namespace: Option<&str>) -> Vec<T> {
        self.list(&key_of::<T>(), namespace).iter().filter_map(|o| view(o)).collect()
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_as<T: Resource + Serialize + DeserializeOwned>(
        &self,
        object: &T,
    ) -> Result<T, Error> {
        from_value(&*self.create(&key_of::<T>(), to_value(object)?)?)
    }

    /// Replaces an object (not its status, where that is a subresource).
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn update_as<T: Resource + Serialize + DeserializeOwned>(
        &self,
        object: &T,
    ) -> Result<T, Error> {
        from_value(&*self.update(&key_of::<T>(), to_value(object)?)?)
    }

    /// Lets `change` edit the object and stores it; tried again on a conflict.
    ///
    /// # Errors
    /// As [`Store::update`]; `NotFound` if there is no such object.
    pub fn modify_as<T, F>(&self, namespace: &str, name: &str, change: F) -> Result<T, Error>
    where
        T: Resource + Serialize + DeserializeOwned,
        F: FnMut(&mut T),
    {
        self.modify_part(Part::Main, namespace, name, change)
    }

    /// Lets `change` edit the object's status and stores that; tried again on a conflict.
    /// Changing nothing stores nothing.
    ///
    /// # Errors
    /// As [`Store::update_status`]; `NotFound` if there is no such object.
    pub fn modify_status_as<T, F>(&self, namespace: &str, name: &str, change: F) -> Result<T, Error>
    where
        T: Resource + Serialize + DeserializeOwned,
        F: FnMut(&mut T),
    {
        self.modify_part(Part::Status, namespace, name, change)
    }

    fn modify_part<T, F>(
        &self,
        part: Part,
        namespace: &str,
        name: &str,
        mut change: F,
    ) -> Result<T, Error>
    where
        T: Resource + Serialize + DeserializeOwned,
        F: FnMut(&mut T),
    {
        let key = key_of::<T>();
        let mut last = None;
        for _ in 0..RETRIES {
            let old = self.require(&key, namespace, name)?;
            let mut view: T = from_value(&old)?;
            change(&mut view);
            match self.update_with(&key, to_value(&view)?, part, &WriteOptions::default()) {
                Ok(object) => return from_value(&object),
                Err(e) if e.code == 409 => last = Some(e),
                Err(e) => return Err(e),
            }
        }
        Err(last.expect("tried at least once"))
    }

    /// Deletes an object, gracefully where its kind knows grace.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete_as<T: Resource>(
        &self,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), Error> {
        self.delete(&key_of::<T>(), namespace, name, options).map(|_| ())
    }
}
