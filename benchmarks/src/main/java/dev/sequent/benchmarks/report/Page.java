package dev.sequent.benchmarks.report;

import java.util.List;

/** A self-contained HTML page, built from top to bottom. */
final class Page {
    private static final String HEAD = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>%s</title><style>
            body { font: 16px/1.5 system-ui, sans-serif; max-width: 1040px; margin: 2em auto; padding: 0 1em; color: #222 }
            table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums }
            th, td { padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: right }
            th:first-child, td:first-child { text-align: left }
            svg { max-width: 100%%; height: auto } p.note { color: #555 }
            </style></head><body><h1>%s</h1>
            """;

    private final StringBuilder html = new StringBuilder();

    Page(String title) {
        html.append(HEAD.formatted(escaped(title), escaped(title)));
    }

    Page section(String title, String note) {
        html.append("<h2>").append(escaped(title)).append("</h2><p class=\"note\">").append(escaped(note)).append("</p>\n");
        return this;
    }

    Page table(List<String> header, List<List<String>> rows) {
        html.append("<table><thead>");
        row("th", header);
        html.append("</thead><tbody>");
        rows.forEach(r -> row("td", r));
        html.append("</tbody></table>\n");
        return this;
    }

    private void row(String cell, List<String> values) {
        html.append("<tr>");
        values.forEach(v -> html.append('<').append(cell).append('>').append(escaped(v)).append("</").append(cell).append('>'));
        html.append("</tr>\n");
    }

    /** Embeds a drawing. */
    Page figure(String svg) {
        html.append("<figure>").append(svg.substring(svg.indexOf("<svg"))).append("</figure>\n");
        return this;
    }

    /** The whole page. */
    String finish() {
        return html + "</body></html>\n";
    }

    static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;");
    }
}
