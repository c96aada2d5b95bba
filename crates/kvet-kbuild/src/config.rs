//! `.config` against what the tree was built with (`include/config/auto.conf`).

use std::collections::BTreeMap;
use std::path::Path;

use crate::tree::Stamp;

/// Values by option; an option that is off has none.
type Values = BTreeMap<String, String>;

fn values(text: &str) -> Values {
    let set = |line: &str| {
        let (name, value) = line.split_once('=')?;
        (name.starts_with("CONFIG_") && value != "n").then(|| (name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(set).collect()
}

/// An option that changed: what the tree was built with, and what `.config` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub(crate) was: String,
    pub(crate) is: String,
}

/// What the configuration says of a tree.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Options that changed since `make` last read `.config`.
    pub(crate) changed: BTreeMap<String, Change>,
    /// `CONFIG_CC_VERSION_TEXT`.
    pub(crate) compiler: Option<String>,
    /// Why nothing can be said of options.
    pub(crate) unknown: Option<String>,
}

impl Config {
    pub(crate) fn read(root: &Path) -> Config {
        let read = |name: &str| std::fs::read_to_string(root.join(name)).ok();
        let Some(built) = read("include/config/auto.conf") else {
            let unknown =
                "options: include/config/auto.conf is missing, so what the tree was built with is unknown";
            return Config { unknown: Some(unknown.into()), ..Config::default() };
        };
        let built = values(&built);
        let compiler = built.get("CONFIG_CC_VERSION_TEXT").map(|v| v.trim_matches('"').to_owned());
        let Some(now) = read(".config") else {
            return Config {
                compiler,
                unknown: Some("options: .config is missing".into()),
                ..Config::default()
            };
        };
        // make reads .config again only when it is newer; else auto.conf is what counts.
        let time = |name: &str| Stamp::of(&root.join(name)).map(|s| s.modified);
        if time(".config") <= time("include/config/auto.conf") {
            return Config { compiler, ..Config::default() };
        }
        Config { compiler, changed: changes(&built, &values(&now)), unknown: None }
    }
}

fn changes(was: &Values, is: &Values) -> BTreeMap<String, Change> {
    let value = |of: &Values, name: &String| of.get(name).cloned().unwrap_or_else(|| "n".into());
    was.keys()
        .chain(is.keys())
        .filter(|name| was.get(*name) != is.get(*name))
        .map(|name| (name.clone(), Change { was: value(was, name), is: value(is, name) }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_off_and_values() {
        let was = values("# x\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_S=\"a=b\"\nCONFIG_N=n\n");
        let is = values("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_S=\"c\"\nCONFIG_D=y\n");
        let changed = changes(&was, &is);
        let shown: Vec<String> = changed.iter().map(|(k, c)| format!("{k} {} {}", c.was, c.is)).collect();
        assert_eq!(shown, ["CONFIG_B m n", "CONFIG_D n y", "CONFIG_S \"a=b\" \"c\""]);
    }
}
