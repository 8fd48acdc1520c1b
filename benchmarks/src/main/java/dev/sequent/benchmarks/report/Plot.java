package dev.sequent.benchmarks.report;

import dev.sequent.type.DataException;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * A figure with logarithmic axes, as PNG and SVG. The legend stands beside the data, in the order of the lines' right ends.
 *
 * @param name of its files
 * @param title above it
 * @param xTitle what x is, with its unit
 * @param yTitle what y is, with its unit
 * @param series points by legend; a legend that ends in parentheses has a dashed line in the colour of what stands before them
 * @param kind what x is, and whether points are connected
 */
record Plot(String name, String title, String xTitle, String yTitle, Map<String, List<PowerLaw.Point>> series, Kind kind) {
    /** What is drawn. */
    enum Kind {
        /** Lines over lengths, which are powers of two. */
        GROWTH,
        /** Points, and a line y = x. */
        PREDICTION
    }

    /** Distinguishable for colour-blind readers too (Okabe and Ito 2008). */
    private static final List<Color> COLOURS = List.of(new Color(0x0072B2), new Color(0xD55E00), new Color(0x009E73), new Color(0xCC79A7),
            new Color(0xE69F00), new Color(0x56B4E9), new Color(0x555555), new Color(0x8C6D1F));
    private static final List<Marker> MARKERS = List.of(SeriesMarkers.CIRCLE, SeriesMarkers.SQUARE, SeriesMarkers.TRIANGLE_UP,
            SeriesMarkers.DIAMOND);
    private static final BasicStroke LINE = new BasicStroke(2.2f);
    private static final BasicStroke DASHED = new BasicStroke(2f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, new float[] {7, 5}, 0);
    private static final Font TEXT = new Font(Font.SANS_SERIF, Font.PLAIN, 15);
    private static final int WIDTH = 1100;
    private static final int HEIGHT = 620;
    /** Least distance of two labels of the axis of lengths, in pixels. */
    private static final int LABEL = 60;
    /** Decades beyond which the numbers between powers of ten have no room beside an axis. */
    private static final double MANY_DECADES = 2.2;

    /** Writes PNG and SVG into {@code directory} and returns the SVG's text. */
    String save(Path directory) {
        XYChart chart = chart();
        String base = directory.resolve(name).toString();
        try {
            ChartEncoder.saveChart(chart, base, "png");
            ChartEncoder.saveChart(chart, base, "svg");
            Path svg = Path.of(base + ".svg");
            String text = Files.readString(svg).replaceAll("font-family:([^;]*);", "font-family:$1,sans-serif;"); // not every reader has it
            Files.writeString(svg, text, StandardCharsets.UTF_8);
            return text;
        } catch (IOException e) {
            throw new DataException("[report] expected to write " + base + ", given " + e, e);
        }
    }

    private XYChart chart() {
        XYChart chart = new XYChartBuilder().width(WIDTH).height(HEIGHT).title(title).xAxisTitle(xTitle).yAxisTitle(yTitle).build();
        XYStyler style = chart.getStyler();
        style.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 19)).setChartBackgroundColor(Color.WHITE).setLegendFont(TEXT)
                .setLegendPosition(Styler.LegendPosition.OutsideE).setLegendBorderColor(Color.WHITE).setMarkerSize(9);
        style.setAxisTickLabelsFont(TEXT).setAxisTitleFont(TEXT).setPlotGridLinesColor(new Color(0xE2E2E2))
                .setPlotGridLinesStroke(new BasicStroke(1));
        double[] y = range(PowerLaw.Point::y);
        if (kind == Kind.PREDICTION) {
            double[] x = range(PowerLaw.Point::x);
            double[] both = {Math.min(x[0], y[0]), Math.max(x[1], y[1])};
            style.setXAxisLogarithmic(true).setXAxisLogarithmicDecadeOnly(false).setXAxisMin(both[0]).setXAxisMax(both[1]);
            chart.setCustomXAxisTickLabelsFormatter(v -> decimal(v, both));
            yAxis(chart, both);
            XYSeries diagonal = chart.addSeries("as predicted", both, both);
            diagonal.setMarker(SeriesMarkers.NONE).setLineColor(Color.GRAY).setLineStyle(new BasicStroke(1.2f));
        } else {
            lengths(chart);
            yAxis(chart, y);
        }
        series.keySet().stream().sorted(Comparator.comparingDouble((String s) -> -series.get(s).getLast().y())).forEach(s -> add(chart, s));
        return chart;
    }

    private void add(XYChart chart, String entry) {
        List<PowerLaw.Point> points = series.get(entry);
        double[] x = points.stream().mapToDouble(p -> kind == Kind.GROWTH ? log2(p.x()) : p.x()).toArray();
        XYSeries line = chart.addSeries(entry, x, points.stream().mapToDouble(PowerLaw.Point::y).toArray());
        int index = series.keySet().stream().map(Plot::subject).distinct().sorted().toList().indexOf(subject(entry));
        Color colour = COLOURS.get(index % COLOURS.size());
        line.setMarker(MARKERS.get(index % MARKERS.size())).setMarkerColor(colour).setLineColor(colour)
                .setLineStyle(subject(entry).equals(entry) ? LINE : DASHED);
        if (kind == Kind.PREDICTION) {
            line.setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
        }
    }

    /** The subject without what stands in parentheses. */
    private static String subject(String entry) {
        return entry.contains(" (") ? entry.substring(0, entry.indexOf(" (")) : entry;
    }

    /** The axis of lengths: the chart is given logarithms, because its own logarithmic axis knows powers of ten only. */
    private void lengths(XYChart chart) {
        double low = Math.floor(log2(coordinates(PowerLaw.Point::x).min().orElse(1)));
        double high = Math.ceil(log2(coordinates(PowerLaw.Point::x).max().orElse(2)));
        chart.getStyler().setXAxisMin(low).setXAxisMax(Math.max(high, low + 1))
                .setXAxisTickMarkSpacingHint(Math.max(LABEL, (int) (0.6 * WIDTH / (high - low + 1))));
        chart.setCustomXAxisTickLabelsFormatter(Plot::power);
    }

    /** The chart widens the distance of labels until no two are equal, which leaves whole exponents. */
    private static String power(double exponent) {
        if (exponent != Math.rint(exponent)) {
            return "";
        }
        double value = Math.pow(2, exponent);
        return exponent < 10 ? plain(value) : exponent < 20 ? plain(value / 1024) + "k" : plain(value / (1 << 20)) + "M";
    }

    private static void yAxis(XYChart chart, double[] range) {
        chart.getStyler().setYAxisLogarithmic(true).setYAxisLogarithmicDecadeOnly(false).setYAxisMin(range[0]).setYAxisMax(range[1]);
        chart.setCustomYAxisTickLabelsFormatter(v -> decimal(v, range));
    }

    /** From one number that may stand beside an axis to another, with all values between them. */
    private double[] range(ToDoubleFunction<PowerLaw.Point> coordinate) {
        return new double[] {roundNumber(coordinates(coordinate).min().orElse(1) / 1.05, false),
                roundNumber(coordinates(coordinate).max().orElse(10) * 1.05, true)};
    }

    private DoubleStream coordinates(ToDoubleFunction<PowerLaw.Point> coordinate) {
        return series.values().stream().flatMap(List::stream).mapToDouble(coordinate);
    }

    /** The next 1, 2 or 5 times a power of ten. */
    private static double roundNumber(double value, boolean up) {
        double decade = Math.pow(10, Math.floor(Math.log10(value)));
        double digit = value / decade;
        double rounded = up ? digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10 : digit >= 5 ? 5 : digit >= 2 ? 2 : 1;
        return rounded * decade;
    }

    /** A label for a first digit of 1, over few decades 2 and 5 too, over one all of them. */
    private static String decimal(double value, double[] range) {
        double decades = Math.log10(range[1] / range[0]);
        long digit = Math.round(value / Math.pow(10, Math.floor(Math.log10(value) + 1e-9)));
        boolean shown = digit == 1 || decades < MANY_DECADES && (digit == 2 || digit == 5) || decades < 1;
        return shown ? plain(value) : "";
    }

    private static String plain(double value) {
        return value >= 1000 ? String.format(Locale.ROOT, "%,.0f", value) : new BigDecimal(value).round(new MathContext(3))
                .stripTrailingZeros().toPlainString();
    }

    private static double log2(double value) {
        return Math.log(value) / Math.log(2);
    }
}
