//! No file imports, by way of others, itself: neither by `use` nor by a path inside of an expression. An import of an item counts for the
//! file that defines it, wherever it is exported again; a module that declares its children does not import them by that.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Item, UseTree};

/// The path of a module from the root of its crate.
type Module = Vec<String>;

#[derive(Default)]
struct Crate {
    modules: BTreeMap<Module, File>,
}

#[derive(Default)]
struct File {
    path: PathBuf,
    /// The names of what is defined there.
    items: BTreeSet<String>,
    /// What a name stands for there: the path as written.
    uses: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Paths inside of expressions, types and patterns.
    paths: Vec<Vec<String>>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut found = Crate::default();
        found.add(root, root.parent().unwrap().to_owned(), Vec::new());
        found
    }

    fn add(&mut self, path: &Path, children: PathBuf, module: Module) {
        let syntax = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut file = File { path: path.into(), ..File::default() };
        for item in &syntax.items {
            if let Some(name) = name_of(item) {
                file.items.insert(name);
            }
            match item {
                Item::Use(item) => file.add_use(&item.tree, Vec::new()),
                Item::Mod(item) if item.content.is_none() => {
                    let name = item.ident.to_string();
                    let nested = children.join(&name).join("mod.rs");
                    let path = if nested.exists() { nested } else { children.join(format!("{name}.rs")) };
                    self.add(&path, children.join(&name), [&module[..], &[name]].concat());
                }
                // A module of tests, or one for fuzzing, in the same file.
                Item::Mod(_) => {}
                item => file.visit_item(item),
            }
        }
        self.modules.insert(module, file);
    }

    /// The file in which a path as written in this module ends; none for what is not of this crate.
    fn home(&self, module: &Module, path: &[String], depth: usize) -> Option<&File> {
        assert!(depth < 32, "{path:?} in {module:?} leads in a circle");
        let (first, rest) = path.split_first()?;
        let file = self.modules.get(module)?;
        let inside = |name: &String| [&module[..], std::slice::from_ref(name)].concat();
        match first.as_str() {
            "crate" => self.within(&Vec::new(), rest, depth),
            "self" => self.within(module, rest, depth),
            "super" => self.within(&module.split_last()?.1.to_vec(), rest, depth),
            _ if self.modules.contains_key(&inside(first)) => self.within(&inside(first), rest, depth),
            name => self.within(module, path, depth).filter(|_| {
                file.items.contains(name) || file.uses.contains_key(name) || !file.globs.is_empty()
            }),
        }
    }

    /// The same of a path that begins in this module.
    fn within(&self, module: &Module, path: &[String], depth: usize) -> Option<&File> {
        let file = self.modules.get(module)?;
        let Some((first, rest)) = path.split_first() else { return Some(file) };
        if ["super", "self", "crate"].contains(&first.as_str()) {
            return self.home(module, path, depth + 1);
        }
        let child = [&module[..], std::slice::from_ref(first)].concat();
        if self.modules.contains_key(&child) && !file.items.contains(first) {
            return self.within(&child, rest, depth + 1);
        }
        if file.items.contains(first) {
            return Some(file);
        }
        if let Some(target) = file.uses.get(first) {
            let target = [&target[..], rest].concat();
            // `use self::x` and the like: never by way of the very same name.
            return if target == path { None } else { self.home(module, &target, depth + 1) };
        }
        file.globs.iter().find_map(|glob| self.home(module, &[&glob[..], path].concat(), depth + 1))
    }

    /// The files that each file imports.
    fn imports(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let mut arrows: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (module, file) in &self.modules {
            let targets = arrows.entry(&file.path).or_default();
            for path in file.uses.values().chain(&file.globs).chain(&file.paths) {
                if let Some(home) = self.home(module, path, 0).filter(|home| home.path != file.path) {
                    targets.insert(&home.path);
                }
            }
        }
        arrows
    }
}

impl File {
    fn add_use(&mut self, tree: &UseTree, prefix: Vec<String>) {
        let with = |name: &syn::Ident| [&prefix[..], &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_use(&path.tree, with(&path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_use(tree, prefix.clone())),
            UseTree::Glob(_) => self.globs.push(prefix),
            UseTree::Name(name) if name.ident == "self" => {
                self.uses.insert(prefix.last().unwrap().clone(), prefix);
            }
            UseTree::Name(name) => drop(self.uses.insert(name.ident.to_string(), with(&name.ident))),
            // A trait for its methods alone still is an import.
            UseTree::Rename(name) if name.rename == "_" => self.paths.push(with(&name.ident)),
            UseTree::Rename(name) => drop(self.uses.insert(name.rename.to_string(), with(&name.ident))),
        }
    }
}

impl<'ast> Visit<'ast> for File {
    /// `pub(crate)` and the like import nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, makro: &'ast syn::Macro) {
        // What it is given is tokens; an expression list is what most take.
        use syn::punctuated::Punctuated;
        if let Ok(list) = makro.parse_body_with(Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated) {
            list.iter().for_each(|expression| {
                let mut inside = File::default();
                inside.visit_expr(expression);
                self.paths.extend(inside.paths);
            });
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut local = File::default();
        local.add_use(&item.tree, Vec::new());
        self.paths.extend(local.uses.into_values().chain(local.globs).chain(local.paths));
    }
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        _ => return None,
    })
}

/// A way from a file back to itself.
fn cycle<'a>(arrows: &BTreeMap<&'a Path, BTreeSet<&'a Path>>) -> Option<Vec<&'a Path>> {
    fn walk<'a>(
        arrows: &BTreeMap<&'a Path, BTreeSet<&'a Path>>,
        at: &'a Path,
        way: &mut Vec<&'a Path>,
        done: &mut BTreeSet<&'a Path>,
    ) -> bool {
        if let Some(start) = way.iter().position(|before| *before == at) {
            way.drain(..start);
            return true;
        }
        if !done.insert(at) {
            return false;
        }
        way.push(at);
        if arrows.get(at).is_some_and(|next| next.iter().any(|next| walk(arrows, next, way, done))) {
            return true;
        }
        way.pop();
        false
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|start| {
        let mut way = Vec::new();
        walk(arrows, start, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    for (root, fewest) in [
        ("../src/lib.rs", 200),
        ("../tools/signer/src/lib.rs", 60),
        ("../tools/signer/src/main.rs", 5),
        ("../tools/relatch/src/main.rs", 2),
        ("../tools/quickstart/src/main.rs", 1),
    ] {
        let found = Crate::read(Path::new(root));
        let arrows = found.imports();
        let count: usize = arrows.values().map(BTreeSet::len).sum();
        assert!(count >= fewest, "{root}: only {count} imports were found");
        assert_eq!(cycle(&arrows), None, "{root}: these files import each other");
    }
}

/// std's readers of directories panic if close(2) fails; rustix's do not.
#[test]
fn nothing_panics_where_a_directory_cannot_be_closed() {
    let mut readers = Vec::new();
    for root in ["../src/lib.rs", "../tools/relatch/src/main.rs"] {
        for file in Crate::read(Path::new(root)).modules.into_values() {
            let name = |path: &Vec<String>| path.last().cloned().unwrap_or_default();
            if file.paths.iter().map(name).any(|name| ["read_dir", "remove_dir_all"].contains(&&*name)) {
                readers.push(file.path);
            }
        }
    }
    // There are no other calls for it there, and closing a handle does not fail.
    assert_eq!(readers, [Path::new("../src/install/dir/windows.rs")]);
}

#[test]
fn a_cycle_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(dir.path().join(name), content).unwrap();
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::Item;\n");
    write("a.rs", "use crate::Item;\nfn f(_: Item) {}\npub const N: u8 = 1;\n");
    write("c.rs", "pub fn g() {}\n");
    for (inside, expected) in [
        ("pub struct Item;\nfn f() { crate::c::g() }\n", false),
        ("pub struct Item;\nfn f() -> u8 { crate::a::N }\n", true),
        ("use super::a;\npub struct Item;\nfn f() -> u8 { a::N }\n", true),
        ("pub struct Item;\nfn f() { println!(\"{}\", crate::a::N) }\n", true),
    ] {
        write("b.rs", inside);
        let found = Crate::read(&dir.path().join("lib.rs"));
        assert_eq!(cycle(&found.imports()).is_some(), expected, "{inside}");
    }
}
