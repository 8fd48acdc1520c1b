package dev.sequent.service;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URLClassLoader;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CatalogueTest {
    @TempDir
    Path directory;

    /** A service that only this test knows. */
    public interface Service {
        /** Its name. */
        String name();
    }

    /** Works. */
    public static final class Sound implements Service {
        @Override
        public String name() {
            return "sound";
        }
    }

    /** Has a name that is taken. */
    public static final class Namesake implements Service {
        @Override
        public String name() {
            return "sound";
        }
    }

    /** Cannot be made. */
    public static final class Exploding implements Service {
        /** Fails. */
        public Exploding() {
            throw new IllegalStateException("constructor exploded");
        }

        @Override
        public String name() {
            return "exploding";
        }
    }

    /** Was built for another version. */
    public static final class Unlinked implements Service {
        @Override
        public String name() {
            throw new NoSuchMethodError("built for another version");
        }
    }

    @Test
    void theFirstOfTwoProvidersOfANameIsUsedAndTheWarningNamesBoth() throws IOException {
        try (URLClassLoader loader = ServiceFile.loader(directory, Service.class, Sound.class.getName(), Namesake.class.getName());
                Warnings warnings = new Warnings("dev.sequent.test")) {
            System.Logger logger = System.getLogger("dev.sequent.test");
            Catalogue<Service> catalogue = Catalogue.load(Service.class, loader, Service::name, logger);
            assertThat(catalogue.known().get("sound")).isInstanceOf(Sound.class);
            assertThat(warnings.messages()).singleElement().asString().contains("'sound'", Sound.class.getName(), Namesake.class.getName());
            assertThat(catalogue.choices()).contains(Namesake.class.getName());
            Namesake own = new Namesake();
            assertThat(Catalogue.load(Service.class, loader, Service::name, logger, own).known().get("sound")).isSameAs(own);
        }
    }

    @Test
    void brokenProvidersAreWarningsAndTheOthersWork() throws IOException {
        try (URLClassLoader loader = ServiceFile.loader(directory, Service.class, Exploding.class.getName(), "no.such.Provider",
                Unlinked.class.getName(), Sound.class.getName());
                Warnings warnings = new Warnings("dev.sequent.test")) {
            Catalogue<Service> catalogue = Catalogue.load(Service.class, loader, Service::name, System.getLogger("dev.sequent.test"));
            assertThat(catalogue.known()).containsOnlyKeys("sound");
            assertThat(catalogue.failures()).hasSize(3);
            assertThat(catalogue.choices()).contains("[sound]", "constructor exploded", "no.such.Provider", "built for another version");
            assertThat(warnings.messages()).hasSize(3).allMatch(m -> m.startsWith("A provider of Service is not used: "));
        }
    }
}
