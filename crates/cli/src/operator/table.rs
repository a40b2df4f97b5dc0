//! Columns of text.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::escape::for_people;

/// How wide a line may be, in columns of a terminal.
pub(super) const WIDTH_MAX: usize = 100;
/// What stands between two columns.
const GAP: &str = "  ";
/// What stands for text that was cut off.
const CUT: &str = "...";

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Text.
    Left,
    /// Numbers.
    Right,
    /// Text that is cut so that the line fits; at most one a table.
    Flexible,
}

/// Rows under a heading. Every cell is escaped as it comes in.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table without rows. A heading of empty texts is not shown.
    pub(super) fn new(columns: &[(Column, &str)]) -> Self {
        Self {
            columns: columns.iter().map(|(column, _)| *column).collect(),
            heading: columns.iter().map(|(_, title)| (*title).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are missing are empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| for_people(&cell)).collect());
    }

    /// Returns whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the lines, each indented by `indent` and at most [`WIDTH_MAX`] wide where the flexible column can give way. With
    /// `colour` the heading is bold.
    pub(super) fn lines(&self, indent: usize, colour: bool) -> String {
        let widths = self.widths(indent);
        let mut out = String::new();
        if self.heading.iter().any(|title| !title.is_empty()) {
            let line = self.line(&self.heading, &widths, indent);
            out.push_str(&super::bold(&line, colour));
            out.push('\n');
        }
        for row in &self.rows {
            out.push_str(&self.line(row, &widths, indent));
            out.push('\n');
        }
        out
    }

    /// Returns how wide each column is, the flexible one cut to what the others leave.
    fn widths(&self, indent: usize) -> Vec<usize> {
        let cells = |index: usize| {
            std::iter::once(&self.heading).chain(&self.rows).filter_map(move |row| row.get(index))
        };
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|index| cells(index).map(|cell| cell.width()).max().unwrap_or_default())
            .collect();
        let all = indent + widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        let flexible = self.columns.iter().position(|column| *column == Column::Flexible);
        if let Some(width) = flexible.and_then(|index| widths.get_mut(index)) {
            *width = width.saturating_sub(all.saturating_sub(WIDTH_MAX)).max(CUT.len().min(*width));
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize], indent: usize) -> String {
        let mut line = " ".repeat(indent);
        for (index, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            if index > 0 {
                line.push_str(GAP);
            }
            let cell = cut(cells.get(index).map_or("", String::as_str), *width);
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            match column {
                Column::Right => {
                    line.push_str(&padding);
                    line.push_str(&cell);
                }
                Column::Left | Column::Flexible => {
                    line.push_str(&cell);
                    line.push_str(&padding);
                }
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Returns `text`, cut at the end to at most `width` columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(CUT.len());
    let mut taken = 0;
    let mut shown: String = text
        .chars()
        .take_while(|letter| {
            taken += letter.width().unwrap_or_default();
            taken <= room
        })
        .collect();
    shown.extend(CUT.chars().take(width));
    shown
}

/// Returns `text` on lines of at most `width` columns, broken at spaces; what has none is not broken. Lines after the first
/// begin with `indent` spaces.
pub(super) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let wide = word.width();
        if column > 0 && column + 1 + wide > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += wide;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_escaped() {
        let mut table = Table::new(&[(Column::Right, "ID"), (Column::Left, "WHO"), (Column::Left, "")]);
        table.row(["7".into(), "潮汐".into(), "x".into()]);
        table.row(["1200".into(), "a\x1b[2J".into()]);
        let expected = "    ID  WHO\n     7  潮汐        x\n  1200  a\\u{1b}[2J\n";
        assert_eq!(table.lines(2, false), expected);
        let coloured = table.lines(0, true);
        assert!(coloured.starts_with("\u{1b}[1m  ID  WHO\u{1b}[0m\n"), "{coloured:?}");
    }

    #[test]
    fn the_flexible_column_gives_way() {
        let mut table = Table::new(&[(Column::Left, ""), (Column::Flexible, ""), (Column::Right, "")]);
        table.row(["a".into(), "b".repeat(200), "123".into()]);
        table.row(["a".into(), "潮".repeat(99), "1".into()]);
        let lines = table.lines(0, false);
        for line in lines.lines() {
            assert_eq!(line.width(), WIDTH_MAX, "{line}");
            assert!(line.contains("...  "), "{line}");
        }
    }

    #[test]
    fn text_is_cut_by_columns() {
        for (text, width, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "..."),
            ("abcde", 4, "a..."),
            ("潮汐潮汐", 6, "潮..."),
            ("abc", 1, "."),
        ] {
            assert_eq!(cut(text, width), expected);
        }
    }

    #[test]
    fn words_wrap() {
        assert_eq!(wrapped("one two three four", 9, 2), "one two\n  three\n  four");
        assert_eq!(wrapped("", 9, 2), "");
        assert_eq!(wrapped("a-word-that-is-long b", 9, 0), "a-word-that-is-long\nb");
    }
}
