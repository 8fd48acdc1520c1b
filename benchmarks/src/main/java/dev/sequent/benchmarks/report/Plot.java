package dev.sequent.benchmarks.report;

import dev.sequent.type.DataException;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A figure with logarithmic axes.
 *
 * @param name of its files
 * @param title above it
 * @param xTitle what x is, with its unit
 * @param yTitle what y is, with its unit
 * @param series points by legend
 * @param diagonal whether a line y = x is drawn, and points are not connected
 */
record Plot(String name, String title, String xTitle, String yTitle, Map<String, List<PowerLaw.Point>> series, boolean diagonal) {
    /** Distinguishable for colour-blind readers too (Okabe and Ito 2008). */
    private static final Color[] COLOURS = {new Color(0x0072B2), new Color(0xD55E00), new Color(0x009E73), new Color(0xCC79A7), new Color(0xE69F00),
            new Color(0x56B4E9), new Color(0x555555)};
    private static final Marker[] MARKERS = {SeriesMarkers.CIRCLE, SeriesMarkers.SQUARE, SeriesMarkers.TRIANGLE_UP, SeriesMarkers.DIAMOND, SeriesMarkers.CROSS,
            SeriesMarkers.TRIANGLE_DOWN, SeriesMarkers.OVAL};

    /** Writes PNG and SVG into {@code directory} and returns the SVG's text. */
    String save(Path directory) {
        XYChart chart = new XYChartBuilder().width(1000).height(620).title(title).xAxisTitle(xTitle).yAxisTitle(yTitle).build();
        Font text = new Font(Font.SANS_SERIF, Font.PLAIN, 15);
        chart.getStyler().setXAxisLogarithmic(true).setYAxisLogarithmic(true).setPlotGridLinesColor(new Color(0xDDDDDD)).setAxisTickLabelsFont(text)
                .setAxisTitleFont(text);
        chart.getStyler().setXAxisDecimalPattern("#,##0.####").setYAxisDecimalPattern("#,##0.####");
        chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideE).setLegendFont(text).setChartBackgroundColor(Color.WHITE)
                .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 18));
        Map<String, List<PowerLaw.Point>> all = new LinkedHashMap<>(series);
        int i = 0;
        for (Map.Entry<String, List<PowerLaw.Point>> s : all.entrySet()) {
            add(chart, s.getKey(), s.getValue(), COLOURS[i % COLOURS.length], MARKERS[i % MARKERS.length], !diagonal);
            i++;
        }
        if (diagonal) {
            double low = all.values().stream().flatMap(List::stream).mapToDouble(p -> Math.min(p.x(), p.y())).min().orElse(1);
            double high = all.values().stream().flatMap(List::stream).mapToDouble(p -> Math.max(p.x(), p.y())).max().orElse(10);
            XYSeries line = chart.addSeries("as predicted", new double[] {low, high}, new double[] {low, high});
            line.setMarker(SeriesMarkers.NONE).setLineColor(Color.GRAY).setLineStyle(new BasicStroke(1.2f));
        }
        try {
            for (String format : List.of("png", "svg")) {
                ChartEncoder.saveChart(chart, directory.resolve(name).toString(), format);
            }
            return Files.readString(directory.resolve(name + ".svg"));
        } catch (IOException e) {
            throw new DataException("[report] expected to write " + directory.resolve(name) + ", given " + e, e);
        }
    }

    private static void add(XYChart chart, String name, List<PowerLaw.Point> points, Color colour, Marker marker, boolean line) {
        XYSeries s = chart.addSeries(name, points.stream().mapToDouble(PowerLaw.Point::x).toArray(), points.stream().mapToDouble(PowerLaw.Point::y).toArray());
        s.setMarker(marker).setMarkerColor(colour).setLineColor(line ? colour : new Color(0, true)).setLineStyle(new BasicStroke(2f));
    }
}
