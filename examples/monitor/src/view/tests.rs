//! Golden screens: what a model looks like at two sizes.
//!
//! A screen that changes is written to the temporary directory of the tests, to be compared and,
//! if it is right, copied to `src/view/screens`.

use std::fs;
use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::{Page, Theme, draw};
use crate::model::tests::{at, sample};
use crate::model::{Connection, Model, Tab, Update};

fn terminal(
    model: &Model,
    (width, height): (u16, u16),
    has_color: bool,
) -> (Terminal<TestBackend>, Page) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut page = Page::default();
    terminal.draw(|frame| page = draw(frame, model, Theme::new(has_color))).unwrap();
    (terminal, page)
}

fn screen(model: &Model, size: (u16, u16)) -> String {
    let (terminal, _) = terminal(model, size, false);
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(size.0));
    let line = |cells: &[ratatui::buffer::Cell]| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("{}\n", line.trim_end())
    };
    rows.map(line).collect()
}

fn check(name: &str, model: &Model) {
    for size in [(80, 24), (120, 40)] {
        let found = screen(model, size);
        let file = format!("{name}-{}x{}.txt", size.0, size.1);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/view/screens").join(&file);
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            let written = std::env::temp_dir().join(&file);
            fs::write(&written, &found).unwrap();
            panic!("{file} differs; the new one is {}:\n{found}", written.display());
        }
    }
}

fn on(tab: Tab) -> Model {
    let mut model = sample();
    model.tab = tab;
    model
}

#[test]
fn the_overview() {
    check("overview", &sample());
}

#[test]
fn the_circuits() {
    check("circuits", &on(Tab::Circuits));
}

#[test]
fn the_connections() {
    check("connections", &on(Tab::Connections));
}

#[test]
fn the_onion_services() {
    check("onion", &on(Tab::Onion));
}

#[test]
fn the_log() {
    check("log", &on(Tab::Log));
}

#[test]
fn the_help() {
    let mut model = sample();
    model.shows_help = true;
    check("help", &model);
}

#[test]
fn a_tor_that_is_gone() {
    let mut model = sample();
    let reason = Some("cannot connect to 127.0.0.1:9051: connection refused".to_owned());
    let next = at(64);
    model.apply(Update::Connection(Connection::Connecting { attempt: 3, next, reason }));
    check("connecting", &model);
}

#[test]
fn a_scrolled_page_shows_the_lines_from_there() {
    let mut model = on(Tab::Circuits);
    model.scroll.set(Tab::Circuits, 2);
    let (_, page) = terminal(&model, (80, 10), false);
    assert_eq!(page, Page { tab: Tab::Circuits, height: 4, last: 6 });
    let screen = screen(&model, (80, 10));
    assert!(screen.contains("stream 21") && !screen.contains("   7  BUILT"), "{screen}");
    assert!(screen.contains(" 3 to 6 of 10 "), "{screen}");
}

#[test]
fn every_size_is_drawn() {
    for tab in Tab::ALL {
        let mut model = on(tab);
        for size in [(1, 1), (5, 3), (20, 5), (40, 12), (300, 100)] {
            model.shows_help = !model.shows_help;
            terminal(&model, size, true);
        }
    }
}

#[test]
fn without_colors_no_cell_has_one() {
    for tab in Tab::ALL {
        let (plain, _) = terminal(&on(tab), (80, 24), false);
        let is_plain =
            |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
        assert!(plain.backend().buffer().content().iter().all(is_plain));
    }
    let (colored, _) = terminal(&sample(), (80, 24), true);
    assert!(colored.backend().buffer().content().iter().any(|cell| cell.fg == Color::Green));
}
