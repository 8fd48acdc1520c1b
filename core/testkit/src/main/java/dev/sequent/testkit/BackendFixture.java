package dev.sequent.testkit;

import dev.sequent.spi.Backend;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;

/** What the groups of the backend contract share: the backend under test, and ways to run a law for many dtypes and layouts. */
public interface BackendFixture {
    /** The open backend under test; one for all tests of a class. */
    Backend backend();

    /** Opens another backend with further options; the caller closes it. */
    Backend open(Map<String, String> options);

    /** Options that make the backend use {@code threads} threads, or empty when it has no such choice. */
    Optional<Map<String, String>> threads(int threads);

    /** Element types that device 0 claims. */
    default Set<DType> dtypes() {
        return backend().capabilities(0).dtypes();
    }

    /** Shapes with the sizes that break kernels: 0, 1, and numbers that are no multiple of a vector or a tile. */
    static List<Shape> shapes() {
        return List.of(Shape.of(), Shape.of(0), Shape.of(1), Shape.of(3), Shape.of(17), Shape.of(63), Shape.of(100), Shape.of(3, 0),
                Shape.of(0, 17), Shape.of(1, 63), Shape.of(3, 17), Shape.of(17, 3), Shape.of(3, 1, 17), Shape.of(2, 3, 2, 5));
    }

    /** A test called {@code name} in a workspace of its own. */
    default DynamicTest law(String name, Consumer<Workspace> body) {
        return DynamicTest.dynamicTest(name, () -> {
            try (Workspace workspace = new Workspace(backend())) {
                body.accept(workspace);
            }
        });
    }

    /** One test for each claimed dtype of which {@code accepts} holds. */
    default Stream<DynamicTest> perDType(String name, Predicate<DType> accepts, BiConsumer<Workspace, DType> body) {
        return dtypes().stream().sorted().filter(accepts).map(dtype -> law(name + " " + dtype, w -> body.accept(w, dtype)));
    }

    /** Runs {@code body} for every odd shape in every layout, with a reproducible tensor; a failure names shape and layout. */
    static void forShapesAndLayouts(DType dtype, BiConsumer<HostTensor, Layout> body) {
        for (Shape shape : shapes()) {
            for (Layout layout : Layout.values()) {
                HostTensor x = layout.prepare(HostTensor.random(shape, dtype, 31 * shape.hashCode() + layout.ordinal()));
                describe(layout + " " + x.dtype() + x.shape(), () -> body.accept(x, layout));
            }
        }
    }

    /** Runs {@code body} and puts {@code what} in front of the message of a failure. */
    static void describe(String what, Runnable body) {
        try {
            body.run();
        } catch (AssertionError | RuntimeException error) {
            throw new AssertionError(what + ": " + error.getMessage(), error);
        }
    }
}
