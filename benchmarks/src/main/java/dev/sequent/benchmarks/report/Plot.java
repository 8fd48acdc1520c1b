package dev.sequent.benchmarks.report;

import de.erichseifert.vectorgraphics2d.VectorGraphics2D;
import de.erichseifert.vectorgraphics2d.svg.SVGProcessor;
import de.erichseifert.vectorgraphics2d.util.PageSize;
import dev.sequent.type.DataException;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;

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
            new Color(0xE69F00),
            new Color(0x56B4E9), new Color(0x555555), new Color(0x8C6D1F));
    private static final Color GRID = new Color(0xE2E2E2);
    private static final Color INK = new Color(0x222222);
    private static final Font TEXT = new Font(Font.SANS_SERIF, Font.PLAIN, 15);
    private static final Font HEADING = new Font(Font.SANS_SERIF, Font.BOLD, 19);
    private static final int WIDTH = 1100;
    private static final int HEIGHT = 620;
    private static final int LEFT = 105;
    private static final int TOP = 55;
    private static final int BOTTOM = 75;
    private static final int LEGEND_MARK = 44;
    private static final int LEGEND_LINE = 26;
    private static final int MARKER = 5;
    private static final float[] DASHES = {7, 5};

    /** Writes PNG and SVG into {@code directory} and returns the SVG's text. */
    String save(Path directory) {
        try {
            BufferedImage image = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_INT_RGB);
            Graphics2D pixels = image.createGraphics();
            pixels.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
            pixels.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
            draw(pixels);
            pixels.dispose();
            ImageIO.write(image, "png", directory.resolve(name + ".png").toFile());
            VectorGraphics2D vectors = new VectorGraphics2D();
            draw(vectors);
            ByteArrayOutputStream svg = new ByteArrayOutputStream();
            new SVGProcessor().getDocument(vectors.getCommands(), new PageSize(WIDTH, HEIGHT)).writeTo(svg);
            String text = svg.toString(StandardCharsets.UTF_8).replaceAll("font-family:([^;]*);",
                    "font-family:$1,sans-serif;"); // not every reader has this font
            Files.writeString(directory.resolve(name + ".svg"), text);
            return text;
        } catch (IOException e) {
            throw new DataException("[report] expected to write " + directory.resolve(name) + ", given " + e, e);
        }
    }

    private void draw(Graphics2D g) {
        g.setColor(Color.WHITE);
        g.fillRect(0, 0, WIDTH, HEIGHT);
        g.setFont(HEADING);
        g.setColor(INK);
        g.drawString(title, LEFT, 32);
        g.setFont(TEXT);
        List<String> names = legend();
        int legend = names.stream().mapToInt(n -> g.getFontMetrics().stringWidth(n)).max().orElse(0) + LEGEND_MARK + 24;
        Frame frame = frame(WIDTH - legend);
        axes(g, frame);
        if (kind == Kind.PREDICTION) {
            line(g, frame, List.of(new PowerLaw.Point(frame.x.low(), frame.x.low()), new PowerLaw.Point(frame.x.high(), frame.x.high())),
                    Color.GRAY, new BasicStroke(1.2f));
        }
        int y = TOP + 12;
        for (String each : names) {
            Color colour = colour(each);
            BasicStroke stroke = stroke(each);
            if (kind == Kind.GROWTH) {
                line(g, frame, series.get(each), colour, stroke);
            }
            series.get(each).forEach(p -> marker(g, each, colour, frame.px(p.x()), frame.py(p.y())));
            legendEntry(g, each, colour, stroke, WIDTH - legend + 12, y);
            y += LEGEND_LINE;
        }
    }

    private void legendEntry(Graphics2D g, String entry, Color colour, BasicStroke stroke, int x, int y) {
        g.setColor(colour);
        if (kind == Kind.GROWTH) {
            g.setStroke(stroke);
            g.drawLine(x, y, x + LEGEND_MARK - 10, y);
        }
        marker(g, entry, colour, x + (LEGEND_MARK - 10) / 2, y);
        g.setColor(INK);
        g.drawString(entry, x + LEGEND_MARK, y + 5);
    }

    /** Names from the highest right end to the lowest. */
    private List<String> legend() {
        return series.keySet().stream().sorted(Comparator.comparingDouble((String s) -> -series.get(s).getLast().y())).toList();
    }

    /** Where values lie in the picture. */
    private record Frame(LogAxis x, LogAxis y, int right) {
        int px(double value) {
            return (int) Math.round(LEFT + x.position(value) * (right - LEFT));
        }

        int py(double value) {
            return (int) Math.round(HEIGHT - BOTTOM - y.position(value) * (HEIGHT - BOTTOM - TOP));
        }
    }

    private Frame frame(int right) {
        List<Double> xs = new ArrayList<>();
        List<Double> ys = new ArrayList<>();
        series.values().forEach(points -> points.forEach(p -> {
            xs.add(p.x());
            ys.add(p.y());
        }));
        if (kind == Kind.PREDICTION) {
            xs.addAll(ys);
            return new Frame(LogAxis.of(xs, false), LogAxis.of(xs, false), right);
        }
        return new Frame(LogAxis.of(xs, true), LogAxis.of(ys, false), right);
    }

    private void axes(Graphics2D g, Frame frame) {
        int bottom = HEIGHT - BOTTOM;
        g.setStroke(new BasicStroke(1));
        for (LogAxis.Tick tick : frame.x.ticks()) {
            int x = frame.px(tick.value());
            g.setColor(GRID);
            g.drawLine(x, TOP, x, bottom);
            g.setColor(INK);
            g.drawString(tick.label(), x - g.getFontMetrics().stringWidth(tick.label()) / 2, bottom + 22);
        }
        for (LogAxis.Tick tick : frame.y.ticks()) {
            int y = frame.py(tick.value());
            g.setColor(GRID);
            g.drawLine(LEFT, y, frame.right, y);
            g.setColor(INK);
            g.drawString(tick.label(), LEFT - 10 - g.getFontMetrics().stringWidth(tick.label()), y + 5);
        }
        g.setColor(Color.GRAY);
        g.drawRect(LEFT, TOP, frame.right - LEFT, bottom - TOP);
        g.setColor(INK);
        g.drawString(xTitle, (LEFT + frame.right - g.getFontMetrics().stringWidth(xTitle)) / 2, HEIGHT - 22);
        var upright = g.getTransform();
        g.rotate(-Math.PI / 2, 24, (TOP + bottom) / 2.0);
        g.drawString(yTitle, 24 - g.getFontMetrics().stringWidth(yTitle) / 2, (TOP + bottom) / 2);
        g.setTransform(upright);
    }

    private static void line(Graphics2D g, Frame frame, List<PowerLaw.Point> points, Color colour, BasicStroke stroke) {
        g.setColor(colour);
        g.setStroke(stroke);
        int[] x = points.stream().mapToInt(p -> frame.px(p.x())).toArray();
        int[] y = points.stream().mapToInt(p -> frame.py(p.y())).toArray();
        g.drawPolyline(x, y, x.length);
    }

    /** The subject without what stands in parentheses. */
    private static String subject(String entry) {
        return entry.contains(" (") ? entry.substring(0, entry.indexOf(" (")) : entry;
    }

    private static BasicStroke stroke(String entry) {
        return entry.contains(" (") ? new BasicStroke(2f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, DASHES, 0)
                : new BasicStroke(2.2f);
    }

    private int index(String entry) {
        return series.keySet().stream().map(Plot::subject).distinct().sorted().toList().indexOf(subject(entry));
    }

    private Color colour(String entry) {
        return COLOURS.get(index(entry) % COLOURS.size());
    }

    private void marker(Graphics2D g, String entry, Color colour, int x, int y) {
        g.setColor(colour);
        int r = MARKER;
        switch (index(entry) % 4) {
            case 0 -> g.fillOval(x - r, y - r, 2 * r, 2 * r);
            case 1 -> g.fillRect(x - r, y - r, 2 * r, 2 * r);
            case 2 -> g.fillPolygon(new int[] {x - r - 1, x, x + r + 1}, new int[] {y + r, y - r - 1, y + r}, 3);
            default -> g.fillPolygon(new int[] {x - r - 1, x, x + r + 1, x}, new int[] {y, y - r - 1, y, y + r + 1}, 4);
        }
    }
}
