//! One core per store and namespace in this process: two caches with near tiers of their own would not see each other's
//! invalidations, for the store sends none to the connection that made the change.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, LazyLock, Weak},
};

use larder_base::CacheKey;
use parking_lot::Mutex;

use crate::{Error, core::Core};

type Slot = Weak<dyn Any + Send + Sync>;

/// By the identity of the store, then the namespace.
type Cores = HashMap<(usize, Arc<str>), Slot>;

static CORES: LazyLock<Mutex<Cores>> = LazyLock::new(Mutex::default);

/// Keeps the core that exists for this store and namespace from ending, if there is one.
pub(crate) fn find<K, V>(core: &Core<K, V>) -> Option<Arc<dyn Any + Send + Sync>>
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let place = (core.store.identity(), core.layout.namespace().clone());
    CORES.lock().get(&place).and_then(Weak::upgrade)
}

/// The core that exists for this store and namespace, if it agrees with `core`; else `core`, registered.
pub(crate) fn join<K, V>(core: Arc<Core<K, V>>) -> Result<Arc<Core<K, V>>, Error>
where
    K: CacheKey,
    V: Send + Sync + 'static,
{
    let place = (core.store.identity(), core.layout.namespace().clone());
    let mut cores = CORES.lock();
    cores.retain(|_, slot| slot.strong_count() > 0);
    let Some(existing) = cores.get(&place).and_then(Weak::upgrade) else {
        let erased: Arc<dyn Any + Send + Sync> = core.clone();
        cores.insert(place, Arc::downgrade(&erased));
        return Ok(core);
    };
    drop(cores);
    let existing = existing.downcast::<Core<K, V>>().map_err(|_| {
        let (key, value) = (std::any::type_name::<K>(), std::any::type_name::<V>());
        Error::config(format!(
            "the cache `{}` exists in this process with key and value types other than `{key}` and `{value}`; use \
             another namespace",
            core.layout.namespace()
        ))
    })?;
    agree(&existing, &core)?;
    Ok(existing)
}

fn agree<K: CacheKey, V: Send + Sync + 'static>(existing: &Core<K, V>, new: &Core<K, V>) -> Result<(), Error> {
    let namespace = new.layout.namespace();
    let pairs = existing.settings.compared().into_iter().zip(new.settings.compared());
    for ((setting, theirs), (_, ours)) in pairs {
        if theirs != ours {
            return Err(differs(namespace, setting, &ours, &theirs));
        }
    }
    let ends = [
        ("source", existing.source.is_some(), new.source.is_some()),
        ("sink", existing.sink.is_some(), new.sink.is_some()),
    ];
    for (setting, theirs, ours) in ends {
        if theirs != ours {
            return Err(differs(namespace, setting, &ours.to_string(), &theirs.to_string()));
        }
    }
    Ok(())
}

fn differs(namespace: &str, setting: &str, ours: &str, theirs: &str) -> Error {
    Error::config(format!(
        "the cache `{namespace}` exists in this process with another `{setting}`: {theirs}, not {ours}; share the \
         handle, or use another namespace"
    ))
}
