package dev.sequent.examples;

import dev.sequent.type.DataException;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * Losses of several models over training, as PNG and SVG: a bold line with marks for validation, a thin one of the same colour for
 * training.
 */
final class LossChart {
    /** Distinguishable for colour-blind readers too (Okabe and Ito 2008). */
    private static final Color[] COLOURS = {new Color(0x0072B2), new Color(0xD55E00), new Color(0x009E73), new Color(0xCC79A7)};
    private static final int POINTS = 120;

    private LossChart() {}

    /** Writes {@code base.png} and {@code base.svg}. */
    static void save(Path base, String title, List<TrainedModel> models, double charactersPerToken) {
        XYChart chart = new XYChartBuilder().width(1100).height(650).title(title).xAxisTitle("training step")
                .yAxisTitle("loss (nats per character)").build();
        style(chart);
        double lowest = Double.POSITIVE_INFINITY;
        double highest = 0;
        for (int i = 0; i < models.size(); i++) {
            TrainedModel m = models.get(i);
            Color colour = COLOURS[i % COLOURS.length];
            List<Curve.Point> training = m.curve().smoothed(POINTS);
            List<Curve.Point> validation = m.curve().validations();
            add(chart, m.kind().label() + ", training", training, charactersPerToken, translucent(colour), 1.2f, false);
            add(chart, m.kind().label() + ", validation", validation, charactersPerToken, colour, 2.5f, true);
            for (Curve.Point p : training) {
                lowest = Math.min(lowest, p.loss() / charactersPerToken);
            }
            for (Curve.Point p : validation) {
                lowest = Math.min(lowest, p.loss() / charactersPerToken);
                highest = Math.max(highest, p.loss() / charactersPerToken);
            }
        }
        limit(chart, lowest, highest);
        for (String format : List.of("png", "svg")) {
            try {
                ChartEncoder.saveChart(chart, base.toString(), format);
            } catch (IOException e) {
                throw new DataException("[chart] expected to write " + base + "." + format + ", given " + e, e);
            }
        }
    }

    private static void style(XYChart chart) {
        Font small = new Font(Font.SANS_SERIF, Font.PLAIN, 15);
        chart.getStyler().setLegendPosition(Styler.LegendPosition.InsideNE).setLegendFont(small).setChartBackgroundColor(Color.WHITE)
                .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 18));
        chart.getStyler().setPlotGridLinesColor(new Color(0xDDDDDD)).setAxisTickLabelsFont(small).setAxisTitleFont(small)
                .setYAxisDecimalPattern("0.0");
        chart.getStyler().setXAxisMin(0.0);
    }

    private static void add(XYChart chart, String name, List<Curve.Point> points, double charactersPerToken, Color colour, float width,
            boolean marks) {
        if (points.isEmpty()) {
            return;
        }
        double[] x = points.stream().mapToDouble(Curve.Point::step).toArray();
        double[] y = points.stream().mapToDouble(p -> p.loss() / charactersPerToken).toArray();
        XYSeries series = chart.addSeries(name, x, y);
        series.setMarker(marks ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE).setMarkerColor(colour);
        series.setLineColor(colour).setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
    }

    /** The first steps are far above the rest; the axis shows what happens after them. */
    private static void limit(XYChart chart, double lowest, double highest) {
        if (highest > lowest) {
            chart.getStyler().setYAxisMin(Math.floor(lowest * 10) / 10);
            chart.getStyler().setYAxisMax(Math.ceil((highest + 0.1) * 10) / 10);
        }
    }

    private static Color translucent(Color c) {
        return new Color(c.getRed(), c.getGreen(), c.getBlue(), 110);
    }
}
